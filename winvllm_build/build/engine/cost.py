"""What an edge costs: predicted before it runs, measured after."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.record import EdgeRecord


class Basis(Enum):
    """What a prediction stands on, the best first."""

    MEASURED = "measured here"
    SIMILAR = "measured for the same file with another architecture or compiler"
    RECORDED = "recorded with the tool"
    CLASS = "the class of the file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The cost of one edge on this machine.

    Attributes:
        seconds: wall time of the edge with a core of its own.
        memory: peak resident bytes of its processes together.
        size: bytes of its output.
        basis: where the figures come from.
    """

    seconds: float
    memory: int
    size: int
    basis: Basis


class Costs(Protocol):
    """Predicts edges and learns from what became of them; called from several threads."""

    def predict(self, edge: Edge) -> Cost:
        """What the edge is going to cost."""

    def learn(self, record: EdgeRecord) -> None:
        """What an attempt did cost."""
