"""What a running build tells its watcher; the core reports values, the command line renders them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from winvllm_build.build.engine.cost import Cost
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.record import EdgeRecord


class Step(Enum):
    """The rooms a build passes through, in order."""

    SOURCE = "source"
    TREE = "tree"
    TOOLCHAIN = "toolchain"
    DEPENDENCIES = "dependencies"
    CONFIGURE = "configure"
    COMPILE = "compile"
    WHEEL = "wheel"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegun:
    step: Step
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    step: Step
    seconds: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line worth reading: what was taken, left out, repaired."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeDone:
    """Ninja finished an edge.

    Attributes:
        finished: edges finished so far, this one included.
        total: edges of this run.
        title: ninja's description of the edge.
        failed: whether its command failed.
        elapsed: seconds since the run began.
        remaining: estimated seconds to the end, None while nothing is known.
    """

    finished: int
    total: int
    title: str
    failed: bool
    elapsed: float
    remaining: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEdge:
    """An edge that is going to run, and what it is reckoned to cost."""

    edge: Edge
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileBegun:
    """Ninja is about to start; told once, before the first edge, where something is to do.

    Attributes:
        at: seconds since the epoch.
        build: the build folder.
        tag: the vLLM tag.
        archs: the architectures built for.
        edges: what ninja is going to run, in the order that admission prefers.
        slots: edges that may run at once.
        budget: bytes that they may use together.
    """

    at: float
    build: Path
    tag: str
    archs: tuple[str, ...]
    edges: tuple[PlannedEdge, ...]
    slots: int
    budget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeStarted:
    """An edge was admitted and runs.

    Attributes:
        edge: what runs.
        attempt: 1 for the first.
        at: seconds since the epoch.
        memory: predicted peak, bytes.
        seconds: predicted wall time.
    """

    edge: Edge
    attempt: int
    at: float
    memory: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeEnded:
    """An attempt at an edge ended."""

    record: EdgeRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Memory at one moment, about once a second.

    Attributes:
        at: seconds since the epoch.
        used: resident bytes of each running edge by its output.
        budget: bytes that edges may use together.
        waiting: edges that ninja has started and admission holds back.
    """

    at: float
    used: Mapping[str, int]
    budget: int
    waiting: int


Event: TypeAlias = StepBegun | StepDone | Note | CompileBegun | EdgeDone | EdgeStarted | EdgeEnded | Sample
Watcher: TypeAlias = Callable[[Event], None]
