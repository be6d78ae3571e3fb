"""The compile step: Ninja behind the gate, the edges in the order that ends first."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from winvllm_build.build import ninja
from winvllm_build.build.cache import session
from winvllm_build.build.cache.session import CompilerCache
from winvllm_build.build.diagnosis import ending, lookup
from winvllm_build.build.engine import memory, order
from winvllm_build.build.engine.commandline import output_of
from winvllm_build.build.engine.cost import Cost, Costs
from winvllm_build.build.engine.edge import Edge, Roots
from winvllm_build.build.engine.gate import Gate, Terms
from winvllm_build.build.engine.prefix import NoPrefix
from winvllm_build.build.engine.reuse import NoReuse, Reuse
from winvllm_build.build.events import CompileBegun, Event, Note, PlannedEdge, Watcher
from winvllm_build.build.plan import edges, words
from winvllm_build.build.plan import setting as settings
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.plan.schedule import jobs_of
from winvllm_build.build.plan.sequence import shortest
from winvllm_build.build.selection import Selection
from winvllm_build.build.store import inventory
from winvllm_build.build.store.objects import Store
from winvllm_build.errors import CompileError, WinvllmError
from winvllm_build.profile import limits, machine
from winvllm_build.profile.model import Profile
from winvllm_build.workspace import Workspace

GIB: Final = 1 << 30
AGAIN: Final = 2
"""How often Ninja starts again because a launcher was killed under an edge."""
STORE_SIZE: Final = 20.0
"""GiB that finished work may take, unless a profile says otherwise."""
LOOKAHEAD: Final = 8
"""Edges that Ninja starts beyond the slots, so that a small one can run while the next is too large."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """What is compiled, and with what.

    Attributes:
        door: Ninja in the configured build folder.
        edges: the edges of the folder by output.
        costs: what each is reckoned to cost.
        reuse: finished work of earlier runs.
        terms: what the gate goes by; None for what this machine has.
        cache: a compiler cache, open during the step; None to do without.
        roots: folders that differ between machines, by name.
    """

    profile: Profile
    door: ninja.Ninja
    selection: Selection
    edges: Mapping[str, Edge]
    costs: Costs
    reuse: Reuse = field(default_factory=NoReuse)
    terms: Terms | None = None
    cache: CompilerCache | None = None
    roots: Roots = field(default_factory=lambda: Roots(folders={}))

    @classmethod
    def of(
        cls, profile: Profile, door: ninja.Ninja, selection: Selection, workspace: Workspace
    ) -> Compilation:
        """With the edges of the folder, and what the workspace knows of their costs.

        Raises:
            ConfigureError: the folder's graph cannot be read.
        """
        door.refresh()
        setting = settings.read(door.folder)
        listed = edges.read(door.folder, selection.ninja_targets, setting=setting)
        return cls(
            profile=profile, door=door, selection=selection,
            edges={edge.output: edge for edge in listed},
            costs=CostModel.open(workspace, setting),
            roots=setting.roots,
        )  # fmt: skip


@contextlib.contextmanager
def equipped(wanted: Compilation, workspace: Workspace, tell: Callable[[str], None]) -> Iterator[Compilation]:
    """With the workspace's store of finished work, and the compiler cache that the profile asks for.

    Outputs that are not to be trusted are gone then.

    Raises:
        StorageError: the build folder cannot be written.
    """
    door, profile = wanted.door, wanted.profile
    store = Store(
        workspace.objects, build=door.folder, roots=wanted.roots,
        environment=door.environment, tag=profile.tag, on_event=tell,
    )  # fmt: skip
    for output, doubt in store.prepare(wanted.edges.values()).removed:
        tell(f"{output} is made again: {doubt}")
    asked = session.request_of(
        profile, workspace, environment=door.environment, roots=wanted.roots.folders.values(),
        build=door.folder, tell=tell,
    )  # fmt: skip
    try:
        with session.opened(asked) as cache:
            yield replace(wanted, reuse=store, cache=cache)
    finally:
        store.close()
        _limit_store(wanted.profile, workspace, tell)


def _limit_store(profile: Profile, workspace: Workspace, tell: Callable[[str], None]) -> None:
    """What cannot be removed costs space, and not the build."""
    asked = profile.build.store_size
    keep = STORE_SIZE if asked == "auto" else asked
    try:
        done = inventory.limit(workspace.objects, int(keep * GIB))
    except WinvllmError as error:
        tell(f"the store was not made smaller: {error}")
        return
    if done is not None and done.removed:
        tell(
            f"the store had more than {keep:g} GiB: {done.removed} edges that were not used for longest went"
        )


def refuse_nothing(selection: Selection) -> None:
    """Say what is missing.

    Raises:
        CompileError: nothing is left to build.
    """
    if not selection.ninja_targets:
        raise CompileError(
            "nothing is left to build: " + "; ".join(f"{o.name}: {o.reason}" for o in selection.left_out),
            fix="name the targets with --targets, or make the missing sources available",
        )


def compile_selection(wanted: Compilation, watch: Watcher) -> ninja.RunResult:
    """Bring everything selected up to date; again where a launcher was killed, which says nothing of an edge.

    Raises:
        CompileError: an edge failed and the profile does not go on.
    """
    watch = _Single(watch)
    _drop_dependency_files(wanted)
    lookup.forget_failures(wanted.door.folder, wanted.edges)
    pending, terms = _pending(wanted), wanted.terms or _terms(wanted)
    if pending:
        budget = terms.room.budget(memory.available(), 0)
        trust = terms.trust(budget)

        def reckoned(edge: Edge) -> Cost:
            cost = wanted.costs.predict(edge)
            return replace(cost, memory=trust.need(cost))

        found = shortest(jobs_of(pending, reckoned), slots=terms.slots, budget=budget)
        order.reorder(wanted.door.folder, found.names)
        terms = replace(terms, urgency=found.urgency)
    gate = Gate(edges=wanted.edges, costs=wanted.costs, reuse=wanted.reuse, watch=watch, terms=terms)
    with gate:
        _announce(wanted, pending, gate, watch)
        ran = _ninja(wanted, gate, watch)
        for _ in range(AGAIN):
            lost = [edge for edge in ran.failed if gate.lost.intersection(edge.outputs)]
            if not lost or len(lost) < len(ran.failed):
                break
            watch(Note(text=f"the launcher of {' '.join(lost[0].outputs)} was killed; its edge runs again"))
            gate.lost.clear()
            before, ran = ran, _ninja(wanted, gate, watch)
            ran = replace(ran, finished=ran.finished + before.finished - len(before.failed))
    if ran.code == 0:
        lookup.forget_failures(wanted.door.folder)
    _refuse_failure(ran, keep_going=wanted.profile.build.keep_going)
    return ran


def _ninja(wanted: Compilation, gate: Gate, watch: Watcher) -> ninja.RunResult:
    cached = {} if wanted.cache is None else wanted.cache.environment
    environment = {**wanted.door.environment, **cached, **gate.environment}
    door = replace(wanted.door, environment=environment)
    return door.run(
        wanted.selection.ninja_targets,
        jobs=gate.terms.ninja_jobs,
        keep_going=wanted.profile.build.keep_going,
        logs=door.folder / "logs",
        on_edge=watch,
    )


def _terms(wanted: Compilation) -> Terms:
    build, here = wanted.profile.build, machine.read()
    slots = limits.slots(wanted.profile, here).jobs
    return Terms(
        slots=slots,
        lookahead=max(slots, LOOKAHEAD),
        room=memory.room(here),
        memory_per_edge=None if build.memory_per_job == "auto" else int(build.memory_per_job * GIB),
        keep_going=build.keep_going,
        prefix=wanted.cache or NoPrefix(),
    )


def _drop_dependency_files(wanted: Compilation) -> None:
    """Remove what killed compilers left: Ninja deletes those it reads, and a torn one fails a dry run too."""
    for edge in wanted.edges.values():
        if "-MF" in edge.arguments[:-1]:
            name = edge.arguments[edge.arguments.index("-MF") + 1]
            with contextlib.suppress(OSError):
                (wanted.door.folder / name).unlink(missing_ok=True)


def _pending(wanted: Compilation) -> tuple[Edge, ...]:
    """The edges that Ninja would run now, as far as they compile or link."""
    commands = wanted.door.pending_commands(wanted.selection.ninja_targets)
    outputs = (output_of(words.split(command, windows=sys.platform == "win32")) for command in commands)
    return tuple(wanted.edges[name] for name in outputs if name in wanted.edges)


def _announce(wanted: Compilation, pending: tuple[Edge, ...], gate: Gate, watch: Watcher) -> None:
    """Tell what is going to run, where something is."""
    if not pending:
        return
    terms, costs = gate.terms, wanted.costs
    each = terms.memory_per_edge
    foreseen = ((edge, costs.predict(edge)) for edge in pending)
    planned = [
        PlannedEdge(edge=edge, cost=cost if each is None else replace(cost, memory=each))
        for edge, cost in foreseen
    ]
    planned.sort(key=lambda one: (-terms.urgency[one.edge.output], one.edge.output))
    watch(
        CompileBegun(
            at=time.time(),
            build=wanted.door.folder,
            tag=wanted.profile.tag,
            archs=tuple(wanted.profile.cuda.arch_list),
            edges=tuple(planned),
            slots=terms.slots,
            budget=gate.budget,
        )
    )


class _Single:
    """A watcher that hears one event at a time, from whatever thread."""

    def __init__(self, watch: Watcher) -> None:
        self.watch = watch
        self.lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self.lock:
            self.watch(event)


def _refuse_failure(ran: ninja.RunResult, *, keep_going: bool) -> None:
    if ran.code == 0 or (keep_going and ran.failed):
        return
    if ran.failed:
        raise ending.compile_error(ran.failed)
    raise CompileError(
        f"ninja stopped with exit {ran.code}: {' '.join(ran.tail)}", fix="run the build again with --fresh"
    )
