"""What a running build tells its watcher; the core reports values, the command line renders them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


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


Event: TypeAlias = StepBegun | StepDone | Note | EdgeDone
Watcher: TypeAlias = Callable[[Event], None]
