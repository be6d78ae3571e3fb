"""A small build behind the gate: real ninja, real launcher, and a compiler that does what its source says."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from typing_extensions import Unpack

from winvllm_build import process
from winvllm_build.build import ninja
from winvllm_build.build.engine import launcher
from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.engine.gate import Gate, Terms
from winvllm_build.build.engine.memory import Room
from winvllm_build.build.engine.prefix import Prefix
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.engine.reuse import NoReuse, Reuse
from winvllm_build.build.events import EdgeEnded, EdgeStarted, Event
from winvllm_build.workspace import Workspace

MIB = 1 << 20
COMPILER = '''\
"""A compiler: its source is Python that may use `tries` and `output`; it writes its output before it ends."""
import os, sys
words = sys.argv[1:]
source, output = words[words.index("-c") + 1], words[words.index("-o") + 1]
count = output + ".tries"
tries = int(open(count).read()) + 1 if os.path.exists(count) else 1
open(count, "w").write(str(tries))
open(output, "w").write("half")
exec(open(source).read())
open(output, "w").write("whole")
'''
RULES = """\
rule CUDA_COMPILER__test
  command = {launcher} {python} -I -S {compiler} $FLAGS -c $in -o $out
  description = Building $out

"""
STATEMENT = "build {output}: CUDA_COMPILER__test {source}{after}\n  FLAGS = -DNAME={name}\n\n"


def ninja_program() -> Path:
    """The one of the package's environment."""
    found = process.which("ninja", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found is not None
    return found


def _for_ninja(path: Path) -> str:
    return path.as_posix().replace(":", "$:")


class MoreTerms(TypedDict, total=False):
    """What a test may choose of a gate's terms."""

    keep_going: bool
    memory_per_edge: int
    prefix: Prefix


class Known:
    """Costs as a test wants them; what is not named takes a second and 100 MiB."""

    def __init__(self, costs: Mapping[str, tuple[float, int]] | None = None) -> None:
        self.costs = costs or {}
        self.learnt: list[EdgeRecord] = []

    def predict(self, edge: Edge) -> Cost:
        seconds, mib = self.costs.get(edge.output, (1.0, 100))
        return Cost(seconds=seconds, memory=mib * MIB, size=0, basis=Basis.CLASS)

    def learn(self, record: EdgeRecord) -> None:
        self.learnt.append(record)


@dataclass(slots=True)
class Heard:
    """The events of a run, in order."""

    events: list[Event] = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    @property
    def records(self) -> list[EdgeRecord]:
        return [event.record for event in self.events if isinstance(event, EdgeEnded)]

    @property
    def started(self) -> list[str]:
        return [event.edge.output for event in self.events if isinstance(event, EdgeStarted)]

    def outcomes(self, output: str) -> list[Outcome]:
        return [record.outcome for record in self.records if record.edge.output == output]

    def most(self, weight: Callable[[EdgeRecord], int] = lambda _: 1) -> int:
        """The largest sum of `weight` over edges that ran at one time."""
        ran = self.records
        return max(
            sum(weight(other) for other in ran if other.started <= one.started < other.ended) for one in ran
        )


@dataclass(slots=True, kw_only=True)
class Bench:
    """A build folder.

    Attributes:
        sources: maps a name to what its compile does.
        after: names of edges, each with the edge that has to end before ninja starts it.
    """

    folder: Path
    sources: Mapping[str, str]
    after: Mapping[str, str] = field(default_factory=dict)
    heard: Heard = field(default_factory=Heard)
    costs: Known = field(default_factory=Known)

    def __post_init__(self) -> None:
        self.build.mkdir(parents=True)
        compiler = self.folder / "compiler.py"
        compiler.write_text(COMPILER)
        for name, text in self.sources.items():
            self.source(name).write_text(text)
        rules = RULES.format(
            launcher=" ".join(self.launcher), python=launcher.interpreter(), compiler=compiler
        )
        statements = (
            STATEMENT.format(
                output=f"{name}.o",
                source=_for_ninja(self.source(name)),
                name=name,
                after=f" || {self.after[name]}.o" if name in self.after else "",
            )
            for name in self.sources
        )
        (self.build / "build.ninja").write_text(rules + "".join(statements))

    @property
    def build(self) -> Path:
        return self.folder / "build"

    @property
    def launcher(self) -> tuple[str, ...]:
        script = launcher.install(Workspace(root=self.folder / "workspace"))
        return tuple(launcher.definitions(script)["CMAKE_CXX_COMPILER_LAUNCHER"].split(";"))

    @property
    def door(self) -> ninja.Ninja:
        return ninja.Ninja(program=ninja_program(), folder=self.build, environment=dict(os.environ))

    def source(self, name: str) -> Path:
        return self.folder / f"{name}.cu"

    def edges(self) -> dict[str, Edge]:
        return {
            f"{name}.o": Edge(
                output=f"{name}.o", target="test", language=Language.CUDA, source=f"<tree>/{name}.cu",
                gencodes=("sm_86",), arguments=("nvcc", name), key=name,
            )
            for name in self.sources
        }  # fmt: skip

    def gate(
        self, *, slots: int, most: int = 10_000, reuse: Reuse | None = None, **more: Unpack[MoreTerms]
    ) -> Gate:
        """A gate over a machine with `most` MiB of its own."""
        terms = Terms(slots=slots, lookahead=8, room=Room(reserve=0, most=most * MIB), **more)
        return Gate(
            edges=self.edges(), costs=self.costs, reuse=reuse or NoReuse(), watch=self.heard, terms=terms,
            available=lambda: most * MIB,
        )  # fmt: skip

    def run(self, gate: Gate, *, keep_going: bool = True) -> ninja.RunResult:
        with gate:
            door = ninja.Ninja(
                program=self.door.program, folder=self.build,
                environment={**self.door.environment, **gate.environment},
            )  # fmt: skip
            return door.run(
                (), jobs=gate.terms.ninja_jobs, keep_going=keep_going, logs=self.build / "logs",
                on_edge=self.heard,
            )  # fmt: skip

    def made(self, name: str) -> str:
        file = self.build / f"{name}.o"
        return file.read_text() if file.exists() else ""

    def tries(self, name: str) -> int:
        return int((self.build / f"{name}.o.tries").read_text())
