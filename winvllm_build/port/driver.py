"""The course of a port: begun, gone on with, begun anew, aborted; killed anywhere, the next run goes on."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from winvllm_build.errors import PatchError, TreeStateError, UsageError, WinvllmError
from winvllm_build.git import EMPTY_TREE
from winvllm_build.patchset import lock, record
from winvllm_build.patchset.record import Record
from winvllm_build.patchset.rewrite import RegenResult
from winvllm_build.port import backup, bench, handoff, harvest, proposal, statefile, undo
from winvllm_build.port.carry import Carried
from winvllm_build.port.decide import Wish, decide
from winvllm_build.port.job import Job
from winvllm_build.port.port import Computed, Options, Settled, port, refuse_present
from winvllm_build.port.progress import examine
from winvllm_build.port.settled import settled
from winvllm_build.port.state import Phase, State
from winvllm_build.port.undo import close, discard, finish_abort
from winvllm_build.workspace import Workspace, locked

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How a port is made.

    Attributes:
        resolve: settle conflicts that have one answer.
        replace: patches that are there are replaced, kept as a commit.
        fresh: the new set's manifest was made just now and goes when the port is aborted.
        resolver: a program that proposes resolutions.
    """

    resolve: bool = True
    replace: bool = False
    fresh: bool = False
    resolver: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a step of a port came to.

    Attributes:
        record: what became of every patch.
        state: the port, if something is open; None where it is done.
        result: the files that were written.
        seconds: how long the computation took.
    """

    record: Record
    state: State | None
    result: RegenResult | None = None
    seconds: float = 0.0


def begin(job: Job, choice: Choice, *, tell: Tell) -> Outcome:
    """Carry a set to a new tag; what is clean is written, the first layer with open patches handed over.

    A port that was killed before it was handed over is finished or begun anew.

    Raises:
        UsageError: there are patches already, or a port to this tag is under way.
        ConflictError: two layers cannot be combined on the new tag; nothing was written.
        PatchError: the old set does not fit its source, or the round trip failed.
        StorageError: the disk refused; a later run finishes.
        BusyError: another run ports to this tag.
    """
    with _alone(job.new_source.repository, job.new):
        found = statefile.find(job.doors.workspace, job.new)
        state = _recovered(found, tell)
        if state is not None:
            return _resumed(job, state, choice, tell)
        if found is not None and found.phase is Phase.CLOSING:
            return Outcome(record=_record(found), state=None)
        if not choice.replace:
            refuse_present(job)
        return _advance(job, _begun(job, choice, tell), choice, tell)


def go_on(job: Job, state: State, choice: Choice, *, tell: Tell) -> Outcome:
    """Take what is in the worktree, write its layer, and go on to the next.

    Args:
        job: the same port as was begun.
        state: as it was found.
        choice: `resolver` for the next hand-off.
        tell: told what happens.

    Raises:
        ConflictError: open patches are not decided, or clean ones are gone; nothing was written.
        TreeStateError: the worktree is not what it was, or has files git does not know.
        PatchError: the old set changed since, or the round trip failed.
    """
    with _alone(state.repository, state.new):
        found = _recovered(statefile.find(job.doors.workspace, job.new), tell)
        if found is None:
            return Outcome(record=_record(state), state=None)
        if found.phase is not Phase.OPEN:
            return _resumed(job, found, choice, tell)
        _refuse_changed(job, found)
        if found.handoff is None:
            return _advance(job, found, choice, tell, before=found)
        carried = handoff.recomputed(found.handoff, resolve=found.resolve)
        progress = examine(found.handoff, carried)
        harvest.refuse_unready(found, found.handoff, progress)
        progress = harvest.settle(carried, progress)
        made = harvest.harvest(found, found.handoff, carried, progress)
        return _advance(job, replace(found, done=(*found.done, made)), choice, tell, before=found)


def judge(workspace: Workspace, state: State, wishes: Sequence[Wish], *, tell: Tell) -> State:
    """Give patches up or accept them, in the worktree; see `decide.decide`.

    Raises:
        UsageError: no such patch, or nothing to accept.
        TreeStateError: an earlier run was killed, or the worktree is gone.
    """
    with _alone(state.repository, state.new):
        found = statefile.find(workspace, state.new)
        if found is None or found.phase is not Phase.OPEN:
            raise TreeStateError(
                f"the port to {state.new} is not waiting for decisions", fix=state.command("--continue")
            )
        carried = None
        if found.handoff is not None:
            carried = handoff.recomputed(found.handoff, resolve=found.resolve)
        return statefile.save(decide(found, carried, _record(found).patches, wishes, tell=tell))


def abort(workspace: Workspace, state: State, *, tell: Tell) -> None:
    """Put everything back as it was before the port; edits are kept as commits.

    Raises:
        StorageError: the disk refused; the next command finishes.
    """
    with _alone(state.repository, state.new):
        found = statefile.find(workspace, state.new)
        if found is not None and found.phase is Phase.CLOSING:
            close(found)
            raise UsageError(
                f"the port to {state.new} was complete already; its worktree was left, and is gone now",
                fix=f"to port again: {state.command('--replace')}",
            )
        if found is not None:
            undo.abort(found, tell=tell)


def _begun(job: Job, choice: Choice, tell: Tell) -> State:
    """The state before anything is written, with a way back."""
    git = job.repository
    before = None
    if job.folder.is_dir() and not choice.fresh:
        before = git.commit_tree(backup.tree_of(git, job.folder), f"{job.new} before the port")
    state = State(
        root=job.root, old=job.old.tag, new=job.new, repository=job.new_source.repository,
        phase=Phase.WRITING, resolve=choice.resolve, basis=_basis(job), before=before,
    )  # fmt: skip
    if before is not None:
        git.out("update-ref", state.ref("before"), before)
    if before is not None and choice.replace:
        ref = backup.keep(git, git.tree_of(before), f"{job.new} before it was ported again")
        tell(f"the patches that were there are kept as {ref} in {git.folder}")
    return statefile.save(state)


def _resumed(job: Job, state: State, choice: Choice, tell: Tell) -> Outcome:
    """What a killed run left, finished."""
    if state.phase is Phase.OPEN or (state.root, state.old) != (job.root, job.old.tag):
        raise UsageError(
            f"a port of {state.old} to {state.new} in {state.root} is under way",
            fix=f"{state.command('--status')}; to begin anew: {state.command('--restart')}",
        )
    tell(f"a run was killed while {state.phase.value}: it is finished now")
    _refuse_changed(job, state)
    if state.phase is Phase.PREPARING and state.handoff is not None:
        carried = handoff.recomputed(state.handoff, resolve=state.resolve)
        return Outcome(record=_record(state), state=_handed_over(state, carried, choice, tell))
    return _advance(job, state, choice, tell)


def _recovered(state: State | None, tell: Tell) -> State | None:
    """A state that a killed run left, where finishing it needs no sources; None where nothing is left."""
    if state is None:
        return None
    if state.phase is Phase.ABORTING:
        tell("an abort was killed: it is finished now")
        finish_abort(state)
        return None
    if state.phase is Phase.CLOSING:
        tell("a run was killed when the port was complete: only its worktree was left to remove")
        close(state)
        return None
    return state


def _advance(job: Job, state: State, choice: Choice, tell: Tell, *, before: State | None = None) -> Outcome:
    """Compute, write, and hand over what is open; `before` is what to return to if it is refused."""
    state = statefile.save(replace(state, phase=Phase.WRITING))
    try:
        options = Options(
            resolve=state.resolve, dropped=state.dropped, keep_headers=not state.is_first,
            settled=_by_target(job, state),
        )  # fmt: skip
        computed, result = port(job, options)
    except WinvllmError:
        _return(state, before)
        raise
    written = backup.tree_of(state.git, state.folder)
    state.git.out("update-ref", state.ref("written"), written)
    if state.handoff is not None:
        discard(state.handoff)
    state = replace(state, written=written, stranded=_stranded(computed), handoff=None)
    return Outcome(
        record=computed.record, result=result, seconds=computed.seconds,
        state=_next(job, state, computed, choice, tell),
    )  # fmt: skip


def _next(job: Job, state: State, computed: Computed, choice: Choice, tell: Tell) -> State | None:
    target = computed.open_target
    if target is None and not computed.record.open:
        close(statefile.save(replace(state, phase=Phase.CLOSING)))
        return None
    if target is None or target.open_layer is None:
        return statefile.save(replace(state, phase=Phase.OPEN))
    made = handoff.begin(
        state, target.open_layer.unit, target=target.trees.target, layer=target.open_layer.layer,
        repository=target.trees.repository, worktree=bench.folder_of(job.doors.workspace.trees, job.new),
    )  # fmt: skip
    state = statefile.save(replace(state, phase=Phase.PREPARING, handoff=made))
    return _handed_over(state, target.open_layer.carried, choice, tell)


def _handed_over(state: State, carried: Carried, choice: Choice, tell: Tell) -> State:
    if state.handoff is None:
        return state
    made = handoff.lay_out(state, state.handoff, carried, tell=tell)
    if choice.resolver is not None:
        proposal.propose(choice.resolver, made, carried, tell=tell)
    return statefile.save(replace(state, phase=Phase.OPEN, handoff=made))


def _return(state: State, before: State | None) -> None:
    """After a refusal: as it was, if nothing was written; else the next run goes on writing."""
    here = backup.tree_of(state.git, state.folder)
    if before is not None and here == before.written:
        statefile.save(before)
    elif state.is_first and here == (EMPTY_TREE if state.before is None else state.git.tree_of(state.before)):
        close(state)


def _by_target(job: Job, state: State) -> dict[str, list[Settled]]:
    found: dict[str, list[Settled]] = {}
    for made in state.done:
        found.setdefault(made.target, []).append(settled(job, made))
    return found


def _stranded(computed: Computed) -> tuple[str, ...]:
    """Source trees with open patches of which there is no merge."""
    merged = {target.trees.target for target in computed.targets}
    return tuple(sorted({entry.target for entry in computed.record.open} - merged))


def _basis(job: Job) -> str:
    """What the port is computed from, in short."""
    locked = hashlib.sha256((job.old.folder / lock.FILE).read_bytes()).hexdigest()
    return f"{locked} {job.old_source.tree} {job.new_source.tree}"


def _refuse_changed(job: Job, state: State) -> None:
    if _basis(job) != state.basis:
        raise PatchError(
            f"the patches of {state.old}, or a source, are others than when the port to {state.new} began",
            fix=f"{state.command('--restart')} (what was resolved is remembered)",
        )


def _record(state: State) -> Record:
    found = record.read(state.folder / record.FILE)
    if found is None:
        raise TreeStateError(
            f"{state.folder / record.FILE} is gone", fix=f"begin anew: {state.command('--restart')}"
        )
    return found


@contextlib.contextmanager
def _alone(repository: Path, new: str) -> Iterator[None]:
    with locked(statefile.lock_of(repository, new), f"the port to {new}"):
        yield
