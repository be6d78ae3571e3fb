"""The build engine on a replayed project: the gate, its launcher, stock ninja, costs known well or badly."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from benchmarks.replay.compiler import Scale
from benchmarks.replay.project import Project
from benchmarks.replay.recorded import Recorded
from winvllm_build.build import ninja
from winvllm_build.build.compiling import Compilation, compile_selection, equipped
from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.gate import Terms
from winvllm_build.build.engine.launcher import definitions, install
from winvllm_build.build.engine.memory import Room
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.events import EdgeEnded, Event, Note, Watcher
from winvllm_build.build.plan import edges
from winvllm_build.build.plan import setting as settings
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.selection import Selection
from winvllm_build.profile.model import BuildSection, Profile
from winvllm_build.workspace import Workspace

UNKNOWN: Final = Cost(seconds=1.0, memory=0, size=0, basis=Basis.CLASS)


@dataclass(slots=True, kw_only=True)
class Known:
    """Costs as they were recorded, each multiplied by factors that stand for being wrong.

    Attributes:
        costs: by output, at the scale of the replay.
        records: what became of each edge.
    """

    costs: Mapping[str, Cost]
    records: list[EdgeRecord] = field(default_factory=list)

    def predict(self, edge: Edge) -> Cost:
        return self.costs.get(edge.output, UNKNOWN)

    def learn(self, record: EdgeRecord) -> None:
        self.records.append(record)


@dataclass(slots=True, kw_only=True)
class Modelled:
    """The package's own cost model, with the scale of the replay put between it and the gate."""

    model: CostModel
    scale: Scale

    def predict(self, edge: Edge) -> Cost:
        found = self.model.predict(edge)
        return replace(
            found,
            seconds=found.seconds * self.scale.time,
            memory=int(found.memory * self.scale.memory),
            size=int(found.size * self.scale.size),
        )

    def learn(self, record: EdgeRecord) -> None:
        """As the machine of the recording would have seen it."""
        took = record.seconds / self.scale.time
        self.model.learn(
            replace(
                record,
                ended=record.started + took,
                cpu=took,
                memory=int(record.memory / self.scale.memory),
                size=int(record.size / self.scale.size),
            )
        )


ReplayCosts: TypeAlias = Known | Modelled
"""What a replay knows beforehand."""


def by_class(scale: Scale) -> Modelled:
    """What the package knows of a build that nobody ever measured."""
    model = CostModel(history=None, compiler="replay", build_type="Release", seeds=())
    return Modelled(model=model, scale=scale)


def perfect(recorded: Sequence[Recorded], scale: Scale) -> Known:
    """Everything known beforehand."""
    return wrong(recorded, scale, lambda: 1.0)


def wrong(recorded: Sequence[Recorded], scale: Scale, factor: Callable[[], float]) -> Known:
    """Seconds and memory each multiplied by a factor of its own."""
    return Known(
        costs={
            edge.output: Cost(
                seconds=edge.seconds * scale.time * factor(),
                memory=int(edge.memory * scale.memory * factor()),
                size=int(edge.size * scale.size),
                basis=Basis.MEASURED,
            )
            for edge in recorded
        }
    )


def random_factor(seed: int, spread: float) -> Callable[[], float]:
    """Factors around 1; `spread` is the standard deviation of their logarithm."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    return lambda: chance.lognormvariate(0, spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine that is replayed.

    Attributes:
        cores: edges at a time.
        cap: recorded bytes for all edges together.
    """

    cores: int
    cap: int


@dataclass(slots=True, kw_only=True)
class Heard:
    """What the engine told of a run.

    Attributes:
        file: where it is written too, line by line.
    """

    records: list[EdgeRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    file: Path | None = None

    def __call__(self, event: Event) -> None:
        match event:
            case EdgeEnded(record=record):
                self.records.append(record)
                self._write(f"{record.outcome.value}\t{record.edge.output}\t{record.code}")
            case Note(text=text):
                self.notes.append(text)
                self._write(f"note\t{text}")
            case _:
                return

    def _write(self, line: str) -> None:
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(f"{time.time():.3f}\t{os.getpid()}\t{line}\n")

    def count(self, outcome: Outcome) -> int:
        return sum(1 for record in self.records if record.outcome is outcome)


def launcher(workspace: Workspace) -> tuple[str, ...]:
    """The words that CMake is given as launcher."""
    return tuple(definitions(install(workspace))["CMAKE_CXX_COMPILER_LAUNCHER"].split(";"))


def run(
    built: Project,
    costs: ReplayCosts,
    terms: Terms,
    *,
    watch: Watcher,
    workspace: Workspace | None = None,
) -> ninja.RunResult:
    """The compile step of a build, as the pipeline runs it.

    Args:
        built: what to build.
        costs: what is known of its edges.
        terms: cores and memory.
        watch: told of everything.
        workspace: where finished work is kept; None to keep nothing.

    Raises:
        CompileError: ninja was stopped by something that is no edge's failure.
    """
    setting = settings.read(built.build)
    door = ninja.Ninja(program=setting.ninja, folder=built.build, environment=os.environ)
    door.refresh()
    wanted = Compilation(
        profile=Profile(build=BuildSection(keep_going=True)),
        door=door,
        selection=Selection(targets=("all",), objects=(), left_out=()),
        edges={edge.output: edge for edge in edges.read(built.build, setting=setting)},
        costs=costs,
        terms=terms,
        roots=setting.roots,
    )
    if workspace is None:
        return compile_selection(wanted, watch)
    with equipped(wanted, workspace, lambda text: watch(Note(text=text))) as ready:
        return compile_selection(ready, watch)


def terms(machine: Machine, scale: Scale) -> Terms:
    """A machine of its own size: what the real one has free does not count."""
    return Terms(
        slots=machine.cores,
        lookahead=max(machine.cores, 8),
        room=Room(reserve=0, most=int(machine.cap * scale.memory)),
        keep_going=True,
    )
