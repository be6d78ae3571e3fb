"""What each verb of `winvllm-build port` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from winvllm_build.cli import port_text, render

if TYPE_CHECKING:
    from winvllm_build.patchset.record import Record
    from winvllm_build.port.driver import Outcome
    from winvllm_build.port.job import Doors, Job
    from winvllm_build.port.progress import Progress
    from winvllm_build.port.state import State

OPEN: Final = 3
"""As `ConflictError`: a human has to decide, what was clean is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What every verb is told."""

    new: str
    root: Path
    doors: Doors
    resolver: Path | None
    verbose: bool
    as_json: bool


def call(
    new: str, patches: Path | None, *, offline: bool, verbose: bool, as_json: bool, resolver: str | None
) -> Call:
    from winvllm_build import data
    from winvllm_build.index import Index
    from winvllm_build.port.job import Doors
    from winvllm_build.sources.remote import Remotes
    from winvllm_build.workspace import Workspace

    workspace = Workspace.default()
    doors = Doors(
        workspace=workspace, index=Index(workspace, offline=offline, on_event=render.note),
        remotes=Remotes(offline=offline), offline=offline, tell=render.note,
    )  # fmt: skip
    root = patches.absolute() if patches else data.patches_root()
    return Call(
        new=new, root=root, doors=doors, resolver=_program(resolver), verbose=verbose, as_json=as_json
    )


def preview(call: Call, old: str | None, *, resolve: bool) -> int:
    from winvllm_build.port.opening import open_job
    from winvllm_build.port.port import Options
    from winvllm_build.port.port import preview as look

    job = open_job(call.root, call.new, call.doors, old=old)
    if not call.as_json:
        render.prepare()
    computed = look(job, Options(resolve=resolve))
    if call.as_json:
        render.data(port_text.record_data(computed.record) | {"seconds": round(computed.seconds, 3)})
    else:
        port_text.show_record(computed.record, verbose=call.verbose)
        took = render.duration(computed.seconds)
        render.out(f"{port_text.summary(computed.record)} ({took}); nothing was written")
    return OPEN if computed.record.open else 0


def begin(call: Call, old: str | None, *, resolve: bool, replace: bool) -> int:
    from winvllm_build.port.driver import Choice
    from winvllm_build.port.driver import begin as start

    fresh, job = _job(call, old)
    choice = Choice(resolve=resolve, replace=replace, fresh=fresh, resolver=call.resolver)
    return _show(call, start(job, choice, tell=render.note))


def go_on(call: Call) -> int:
    from winvllm_build.port.driver import Choice
    from winvllm_build.port.driver import go_on as advance

    state = _state(call)
    _, job = _job(call, state.old)
    return _show(call, advance(job, state, Choice(resolver=call.resolver), tell=render.note))


def abort(call: Call) -> int:
    from winvllm_build.port.driver import abort as stop

    state = _state(call)
    stop(call.doors.workspace, state, tell=render.note)
    if call.as_json:
        render.data({"from": state.old, "to": state.new, "under_way": None})
    else:
        render.out(f"{state.folder} is as it was before the port")
    return 0


def restart(call: Call) -> int:
    from winvllm_build.port.driver import Choice
    from winvllm_build.port.driver import abort as stop
    from winvllm_build.port.driver import begin as start

    old, resolve = _begun_with(call)
    state = _found(call)
    if state is not None:
        stop(call.doors.workspace, state, tell=render.note)
    fresh, job = _job(call, old)
    choice = Choice(resolve=resolve, replace=True, fresh=fresh, resolver=call.resolver)
    return _show(call, start(job, choice, tell=render.note))


def decide(
    call: Call, skip: Sequence[str], accept: Sequence[str], strict: Sequence[str], *, reason: str
) -> int:
    from winvllm_build.git import RepoPath
    from winvllm_build.port.decide import Side, Wish
    from winvllm_build.port.driver import judge

    wishes = [Wish(path=RepoPath(path), side=None, reason=reason) for path in skip]
    wishes += [Wish(path=RepoPath(path), side=Side.MERGE) for path in accept]
    wishes += [Wish(path=RepoPath(path), side=Side.STRICT) for path in strict]
    judge(call.doors.workspace, _state(call), wishes, tell=render.note)
    return show_status(call)


def account(call: Call, paths: Sequence[str], *, reason: str) -> int:
    from winvllm_build.port.account import account as enter

    made = enter(call.root, call.new, call.doors, paths, reason=reason)
    if call.as_json:
        render.data(port_text.record_data(made.record) | {"entered": [str(e.path) for e in made.entered]})
        return 0
    for entry in made.entered:
        reached = f" to {entry.to}" if entry.to not in (None, entry.path) else ""
        why = f": {entry.reason}" if entry.reason else ""
        render.out(f"  {entry.decision.value:<10} {entry.path}{reached}{why}")
    render.out(f"{port_text.summary(made.record)}; {len(made.entered)} entered")
    return 0


def show_status(call: Call) -> int:
    from winvllm_build.patchset import record

    state = _found(call)
    found = record.read(call.root / call.new / record.FILE)
    if state is None:
        return _show_finished(call, found)
    progress = _progress(state)
    if call.as_json:
        recorded = {} if found is None else port_text.record_data(found)
        render.data(recorded | {"under_way": port_text.state_data(state, progress)})
    else:
        if found is not None and call.verbose:
            port_text.show_record(found, verbose=True)
        port_text.show_state(state, progress, found)
    return OPEN if progress is None or progress.undecided or progress.marks else 0


def _program(name: str | None) -> Path | None:
    """The program that proposes resolutions.

    Raises:
        UsageError: this tool does not know it.
        ToolchainError: it is not there.
    """
    if name is None:
        return None
    from winvllm_build.errors import UsageError
    from winvllm_build.port import proposal
    from winvllm_build.suggest import did_you_mean

    if name != proposal.MERGIRAF:
        known = [proposal.MERGIRAF]
        raise UsageError(f"no resolver named {name!r}{did_you_mean(name, known)}", fix=f"known: {known[0]}")
    return proposal.find()


def _job(call: Call, old: str | None) -> tuple[bool, Job]:
    """Whether the manifest was made just now, and the port made ready."""
    from winvllm_build.patchset import manifest
    from winvllm_build.port.job import previous, refuse_installed
    from winvllm_build.port.opening import add_manifest, open_job

    refuse_installed(call.root, f"winvllm-build port {call.new}")
    before = old or previous(call.root, call.new)
    fresh = not (call.root / call.new / manifest.FILE).is_file()
    if fresh:
        add_manifest(call.root, call.new, call.doors, old=before)
    return fresh, open_job(call.root, call.new, call.doors, old=before)


def _found(call: Call) -> State | None:
    """The port to this tag that is under way.

    Raises:
        UsageError: it is one of another folder of patch sets.
    """
    from winvllm_build.errors import UsageError
    from winvllm_build.port import statefile

    state = statefile.find(call.doors.workspace, call.new)
    if state is not None and state.root.resolve() != call.root.resolve():
        raise UsageError(
            f"the port to {call.new} that is under way is in {state.root}, not in {call.root}",
            fix=state.command("--status"),
        )
    return state


def _state(call: Call) -> State:
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset import advice

    state = _found(call)
    if state is None:
        raise UsageError(
            f"no port to {call.new} is under way", fix=advice.command("port", call.new, root=call.root)
        )
    return state


def _begun_with(call: Call) -> tuple[str, bool]:
    """The old tag of the port that is begun anew, and whether conflicts with one answer are settled."""
    from winvllm_build.patchset import record

    state = _found(call)
    if state is not None:
        return state.old, state.resolve
    made = record.read(call.root / call.new / record.FILE)
    return (_state(call).old if made is None else made.old), True


def _progress(state: State) -> Progress | None:
    from winvllm_build.port.progress import look

    return look(state)


def _show(call: Call, outcome: Outcome) -> int:
    progress = None if outcome.state is None else _progress(outcome.state)
    if call.as_json:
        render.data(port_text.outcome_data(outcome, progress))
    else:
        port_text.show_record(outcome.record, verbose=call.verbose, elsewhere=progress)
        port_text.show_written(outcome, call.root)
        if outcome.state is not None:
            render.out("")
            port_text.show_state(outcome.state, progress, outcome.record)
    return OPEN if outcome.record.open else 0


def _show_finished(call: Call, found: Record | None) -> int:
    """The record of a port that is not under way here."""
    from winvllm_build.patchset import advice

    if found is None:
        _state(call)
        return 0
    if call.as_json:
        render.data(port_text.record_data(found) | {"under_way": None})
        return OPEN if found.open else 0
    port_text.show_record(found, verbose=call.verbose)
    render.out(port_text.summary(found))
    if found.open:
        again = advice.command("port", call.new, "--restart", root=call.root)
        render.out(f"there is no worktree for what is open; to make one: {again}")
    return OPEN if found.open else 0
