"""What became of one edge in one run: the values that history, progress and report are made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from winvllm_build.build.engine.edge import Edge


class Outcome(Enum):
    """How an edge ended."""

    COMPILED = "compiled"
    CACHED = "cached"
    """The compiler cache had it; the compiler itself did not run."""
    REUSED = "reused"
    """An earlier run had made it from the same command and inputs; nothing ran."""
    RETRIED = "retried"
    """It ran out of memory and is run again, alone; a further record of the same edge follows."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeRecord:
    """One attempt at an edge.

    Attributes:
        edge: what ran.
        outcome: how it ended.
        attempt: 1 for the first.
        asked: when ninja started it, seconds since the epoch.
        started: when it was admitted; the time between was spent waiting for memory.
        ended: when it ended.
        cpu: CPU seconds of all its processes, user and system.
        memory: peak resident bytes of its processes.
        size: bytes of the output, 0 if there is none.
        code: exit code.
        predicted_memory: what admission reckoned with, bytes.
        predicted_seconds: what the schedule reckoned with.
    """

    edge: Edge
    outcome: Outcome
    attempt: int
    asked: float
    started: float
    ended: float
    cpu: float
    memory: int
    size: int
    code: int
    predicted_memory: int
    predicted_seconds: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started
