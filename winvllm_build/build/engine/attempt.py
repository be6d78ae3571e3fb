"""One try at an edge: what is reckoned with, and what its end means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from winvllm_build.build.engine.admission import Wish
from winvllm_build.build.engine.cost import Cost
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.exhaustion import ran_out
from winvllm_build.build.engine.protocol import Report
from winvllm_build.build.engine.record import EdgeRecord, Outcome

RETRIES: Final = 2
"""How often an edge that ran out of memory is run again."""
GIB: Final = 1 << 30


class Verdict(Enum):
    """What follows from the end of an attempt."""

    DONE = "done"
    AGAIN_ALONE = "it ran out of memory: again, alone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A try.

    Attributes:
        asked: when ninja started the edge, seconds since the epoch.
        cost: what was predicted.
        memory: bytes reckoned with.
        urgency: the greater comes first.
        number: 1 for the first.
        shortages: how often it ran out of memory before; from the first on it runs alone.
        bare: the compiler cache is left out.
        prefix: words before its command.
    """

    edge: Edge
    asked: float
    cost: Cost
    memory: int
    urgency: float
    number: int = 1
    shortages: int = 0
    bare: bool = False
    prefix: tuple[str, ...] = ()

    @property
    def wish(self) -> Wish:
        return Wish(
            output=self.edge.output, memory=self.memory, urgency=self.urgency, alone=self.shortages > 0
        )

    def alone(self, peak: int) -> Attempt:
        """The next try, with twice the memory that was not enough."""
        return replace(
            self,
            number=self.number + 1,
            memory=2 * max(self.memory, peak),
            shortages=self.shortages + 1,
            bare=True,
            prefix=(),
        )

    def without_cache(self) -> Attempt:
        """The next try, the compiler cache having failed."""
        return replace(self, number=self.number + 1, bare=True, prefix=())

    def record(self, report: Report, *, started: float, ended: float, peak: int, size: int) -> EdgeRecord:
        return EdgeRecord(
            edge=self.edge,
            outcome=Outcome.COMPILED if report.code == 0 else Outcome.FAILED,
            attempt=self.number,
            asked=self.asked,
            started=started,
            ended=ended,
            cpu=report.cpu,
            memory=max(report.memory, peak),
            size=size,
            code=report.code,
            predicted_memory=self.memory,
            predicted_seconds=self.cost.seconds,
        )


def verdict(report: Report, attempt: Attempt) -> Verdict:
    if report.code == 0:
        return Verdict.DONE
    if attempt.shortages < RETRIES and ran_out(report.code, report.text):
        return Verdict.AGAIN_ALONE
    return Verdict.FAILED


def explanation(report: Report, attempt: Attempt, budget: int) -> str:
    """What to add to the output of a failed edge; empty where memory had no part in it."""
    if not ran_out(report.code, report.text):
        return ""
    return (
        f"\nwinvllm-build: out of memory (exit {report.code}) in {attempt.number} tries, the last with"
        f" nothing beside it and {budget / GIB:.1f} GiB to use.\n"
        "fix: close other programs, give the machine or container more memory or swap, or leave"
        " the target out (build.leave_out)\n"
    )
