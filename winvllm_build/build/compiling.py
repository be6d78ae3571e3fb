"""The compile step: Ninja behind the gate."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from winvllm_build.build import ninja
from winvllm_build.build.cache import session
from winvllm_build.build.cache.session import CompilerCache
from winvllm_build.build.diagnosis import ending
from winvllm_build.build.engine import memory, order
from winvllm_build.build.engine.commandline import output_of
from winvllm_build.build.engine.cost import Costs
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.gate import Gate, Terms
from winvllm_build.build.engine.prefix import NoPrefix
from winvllm_build.build.engine.reuse import NoReuse, Reuse
from winvllm_build.build.events import CompileBegun, Event, Note, PlannedEdge, Watcher
from winvllm_build.build.plan import edges, words
from winvllm_build.build.plan import setting as settings
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.selection import Selection
from winvllm_build.errors import CompileError
from winvllm_build.profile import limits, machine
from winvllm_build.profile.model import Profile
from winvllm_build.workspace import Workspace

GIB: Final = 1 << 30
AGAIN: Final = 2
"""How often Ninja starts again because a launcher was killed under an edge."""


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
    roots: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, profile: Profile, door: ninja.Ninja, selection: Selection, workspace: Workspace
    ) -> Compilation:
        """With the edges of the folder, and what the workspace knows of their costs.

        Raises:
            ConfigureError: the folder's graph cannot be read.
        """
        setting = settings.read(door.folder)
        listed = edges.read(door.folder, selection.ninja_targets, setting=setting)
        return cls(
            profile=profile, door=door, selection=selection,
            edges={edge.output: edge for edge in listed},
            costs=CostModel.open(workspace, setting),
            roots=setting.roots.folders,
        )  # fmt: skip

    def slots(self) -> limits.JobLimit:
        return limits.slots(self.profile, machine.read())


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


def compile_cached(
    wanted: Compilation, workspace: Workspace, watch: Watcher, tell: Callable[[str], None]
) -> tuple[ninja.RunResult, Mapping[str, Any] | None]:
    """`compile_selection` with the compiler cache that the profile asks for; what that did, None without one.

    Raises:
        CompileError: an edge failed and the profile does not go on.
    """
    asked = session.request_of(
        wanted.profile, workspace,
        environment=wanted.door.environment, roots=wanted.roots.values(), build=wanted.door.folder, tell=tell,
    )  # fmt: skip
    with session.opened(asked) as cache:
        ran = compile_selection(replace(wanted, cache=cache), watch)
    return ran, None if cache is None else cache.as_data()


def compile_selection(wanted: Compilation, watch: Watcher) -> ninja.RunResult:
    """Bring everything selected up to date.

    Raises:
        CompileError: an edge failed and the profile does not go on.
    """
    profile = wanted.profile
    told = _Single(watch)
    order.reorder(wanted.door.folder, lambda output: _seconds(wanted, output))
    terms = wanted.terms or _terms(wanted)
    gate = Gate(edges=wanted.edges, costs=wanted.costs, reuse=wanted.reuse, watch=told, terms=terms)
    with gate:
        _announce(wanted, gate, told)
        ran = _run(wanted, gate, told)
        for _ in range(AGAIN):
            lost = [edge for edge in ran.failed if gate.lost.intersection(edge.outputs)]
            if not lost or (len(lost) < len(ran.failed) and not profile.build.keep_going):
                break
            told(Note(text=f"{' '.join(lost[0].outputs)}: its launcher was killed; Ninja goes on"))
            gate.lost.clear()
            before, ran = ran, _run(wanted, gate, told)
            ran = replace(ran, finished=ran.finished + before.finished - len(before.failed))
    _refuse_failure(ran, keep_going=profile.build.keep_going)
    return ran


def _run(wanted: Compilation, gate: Gate, watch: Watcher) -> ninja.RunResult:
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
    build = wanted.profile.build
    slots = wanted.slots().jobs
    per_edge = None if build.memory_per_job == "auto" else int(build.memory_per_job * GIB)
    return Terms(
        slots=slots,
        lookahead=max(slots, 8),
        room=memory.room(machine.read()),
        memory_per_edge=per_edge,
        prefix=wanted.cache or NoPrefix(),
    )


def _seconds(wanted: Compilation, output: str) -> float:
    edge = wanted.edges.get(output)
    return 0.0 if edge is None else wanted.costs.predict(edge).seconds


def _announce(wanted: Compilation, gate: Gate, watch: Watcher) -> None:
    """Tell what is going to run, where something is."""
    windows = sys.platform == "win32"
    pending = wanted.door.pending_commands(wanted.selection.ninja_targets)
    outputs = [output_of(words.split(command, windows=windows)) for command in pending]
    found = [wanted.edges[name] for name in outputs if name in wanted.edges]
    if not pending:
        return
    planned = [PlannedEdge(edge=edge, cost=wanted.costs.predict(edge)) for edge in found]
    watch(
        CompileBegun(
            at=time.time(),
            build=wanted.door.folder,
            tag=wanted.profile.tag,
            archs=tuple(wanted.profile.cuda.arch_list),
            edges=tuple(sorted(planned, key=lambda p: (-p.cost.seconds, p.edge.output))),
            slots=gate.terms.slots,
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
