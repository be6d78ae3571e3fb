"""The gate against a fixed number of jobs, on the same replayed build with the same memory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.replay import baseline, compiler, gated, project, upstream
from benchmarks.replay.bound import lower_bound
from benchmarks.replay.compiler import Scale, Toolkit, Victim
from benchmarks.replay.gated import Heard, Machine
from benchmarks.replay.project import Project
from benchmarks.replay.recorded import Recorded
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.workspace import Workspace

WRONG: Final = 0.7
"""Spread of wrong predictions: two thirds of them lie between half and twice the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way on one machine.

    Attributes:
        way: who chose what runs.
        cap: recorded bytes.
        seconds: replayed seconds until everything was built, every run of it.
        ratio: these to the lower bound.
        bound: what the bound comes from.
        kills: edges that memory ended.
        runs: how often the build was started.
        done: whether everything was built in the end.
        before: of the seconds those before the first edge was asked for; a real build's are as many.
    """

    way: str
    cap: int
    seconds: float
    ratio: float
    bound: str
    kills: int
    runs: int
    done: bool
    before: float = 0.0


@dataclass(slots=True, kw_only=True)
class Ring:
    """The place where all ways build the same edges."""

    root: Path
    edges: tuple[Recorded, ...]
    scale: Scale
    victim: Victim = Victim.LARGEST

    def toolkit(self, cap: int) -> Toolkit:
        made = compiler.build(self.root / "toolkit", self.scale)
        made.forget()
        made.configure(self.edges, cap=cap, victim=self.victim)
        return made

    def fresh(self, toolkit: Toolkit, launcher: Sequence[str] = ()) -> Project:
        """A build folder in which nothing is built."""
        source, folder = self.root / "source", self.root / "build"
        if not source.exists():
            project.write_sources(source, self.edges)
        shutil.rmtree(folder, ignore_errors=True)
        return project.configure(source, folder, self.edges, toolkit, launcher=launcher)

    def static(self, machine: Machine, way: baseline.Way) -> Row:
        toolkit = self.toolkit(machine.cap)
        ran = baseline.run(way.name, self.fresh(toolkit), toolkit, way.jobs)
        return self._row(machine, way.name, ran.seconds, kills=ran.kills, runs=ran.runs, done=ran.done)

    def upstream(self, machine: Machine, setup: Path) -> Row:
        """VLLM's own way, started again after a run that lost edges to memory."""
        toolkit = self.toolkit(machine.cap)
        number = upstream.jobs(setup, {}, cores=machine.cores)
        name = f"vLLM's setup.py, cmake --build -j={number}"
        ran = baseline.run(name, self.fresh(toolkit), toolkit, number, start=upstream.build)
        return self._row(machine, name, ran.seconds, kills=ran.kills, runs=ran.runs, done=ran.done)

    def gate(self, machine: Machine, name: str, costs: gated.ReplayCosts) -> Row:
        """One run behind the gate; with its launcher's overhead, as it is."""
        toolkit = self.toolkit(machine.cap)
        workspace = Workspace(root=self.root / "workspace")
        built = self.fresh(toolkit, gated.launcher(workspace))
        heard = Heard()
        begun, at = time.perf_counter(), time.time()
        ran = gated.run(built, costs, gated.terms(machine, self.scale), watch=heard)
        seconds = time.perf_counter() - begun
        before = min((record.asked for record in heard.records), default=at) - at
        kills = max(toolkit.kills(), heard.count(Outcome.RETRIED))
        done = ran.code == 0 and not built.missing()
        row = self._row(machine, name, seconds, kills=kills, runs=1, done=done)
        return replace(row, before=round(before, 2))

    def _row(self, machine: Machine, way: str, seconds: float, *, kills: int, runs: int, done: bool) -> Row:
        bound = lower_bound(self.edges, cores=machine.cores, cap=machine.cap)
        return Row(
            way=way, cap=machine.cap, seconds=round(seconds, 2),
            ratio=round(seconds / (bound.seconds * self.scale.time), 3),
            bound=bound.what, kills=kills, runs=runs, done=done,
        )  # fmt: skip


def fixed(ring: Ring, machine: Machine) -> Iterator[Row]:
    """Every number of jobs; a rule of others is the row of the number that it chooses."""
    chosen: dict[int, list[str]] = {}
    for way in baseline.ways(machine.cores, machine.cap):
        chosen.setdefault(way.jobs, []).append(way.name)
    for jobs, names in sorted(chosen.items()):
        yield ring.static(machine, baseline.Way(name=" = ".join(names), jobs=jobs))


def gates(ring: Ring, machine: Machine, *, seed: int = 1, named: str = "") -> Iterator[Row]:
    """The gate with what it may know: everything, the classes of files, and much that is wrong.

    Args:
        ring: where it is built.
        machine: cores and memory.
        seed: decides what is wrong.
        named: only the ways with this in their name.
    """
    kinds: dict[str, Callable[[], gated.ReplayCosts]] = {
        "gate, history perfect": lambda: gated.perfect(ring.edges, ring.scale),
        "gate, classes only": lambda: gated.by_class(ring.scale),
        "gate, predictions wrong": lambda: gated.wrong(
            ring.edges, ring.scale, gated.random_factor(seed, WRONG)
        ),
    }
    for name, made in kinds.items():
        if named in name:
            yield ring.gate(machine, name, made())


def learnt(ring: Ring, machine: Machine) -> Iterator[Row]:
    """The gate's own cost model: nothing known, then what the first run taught it."""
    model = CostModel(history=None, compiler="replay", build_type="Release", seeds=())
    for name in ("gate, first build", "gate, second build"):
        yield ring.gate(machine, name, gated.Modelled(model=model, scale=ring.scale))
