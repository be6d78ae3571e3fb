"""The seam between the gate and a compiler cache that runs commands for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.record import EdgeRecord, Outcome

HIT: Final = 0.5
"""An edge that took less than this share of its predicted time was in the cache."""


class Prefix(Protocol):
    """Words before commands; asked from several threads."""

    def before(self, edge: Edge) -> tuple[str, ...]:
        """What to put before the command of `edge`; nothing to run it as it is."""

    def again(self, edge: Edge, code: int, text: str) -> bool:
        """Whether `edge`, which failed with these words before it, is to be run once more without."""

    def processes(self) -> tuple[int, ...]:
        """Servers whose children are the compilers of edges."""


class NoPrefix:
    """Runs every command as it is."""

    def before(self, edge: Edge) -> tuple[str, ...]:
        del edge
        return ()

    def again(self, edge: Edge, code: int, text: str) -> bool:
        del edge, code, text
        return False

    def processes(self) -> tuple[int, ...]:
        return ()


def told(record: EdgeRecord) -> EdgeRecord:
    """The record of an edge that ended well behind a prefix.

    Its compiler was a child of somebody else, so nobody measured its memory and CPU time; a history must not
    learn what the launcher alone needed.
    """
    hit = record.seconds < HIT * record.predicted_seconds
    outcome = Outcome.CACHED if hit and record.outcome is Outcome.COMPILED else record.outcome
    return replace(record, outcome=outcome, cpu=0.0, memory=0)
