"""One try at an edge: what is reckoned with, and what its end means."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from winvllm_build.build.engine.admission import Wish
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.exhaustion import ran_out
from winvllm_build.build.engine.protocol import Report
from winvllm_build.build.engine.record import EdgeRecord, Outcome

RETRIES: Final = 2
GIB: Final = 1 << 30


class Verdict(Enum):
    """What follows from the end of an attempt."""

    DONE = "done"
    AGAIN = "it ran out of memory: again, alone"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A try.

    Attributes:
        number: 1 for the first.
        asked: when ninja started the edge, seconds since the epoch.
        memory: bytes reckoned with.
        seconds: wall time reckoned with.
        prefix: words before its command.
    """

    edge: Edge
    number: int
    asked: float
    memory: int
    seconds: float
    prefix: tuple[str, ...] = ()

    @property
    def wish(self) -> Wish:
        return Wish(output=self.edge.output, memory=self.memory, seconds=self.seconds, alone=self.number > 1)

    def again(self, peak: int) -> Attempt:
        """The next try, with twice the memory that was not enough."""
        return replace(self, number=self.number + 1, memory=2 * max(self.memory, peak))

    def record(self, report: Report, *, started: float, peak: int, size: int) -> EdgeRecord:
        return EdgeRecord(
            edge=self.edge,
            outcome=Outcome.COMPILED if report.code == 0 else Outcome.FAILED,
            attempt=self.number,
            asked=self.asked,
            started=started,
            ended=time.time(),
            cpu=report.cpu,
            memory=max(report.memory, peak),
            size=size,
            code=report.code,
            predicted_memory=self.memory,
            predicted_seconds=self.seconds,
        )


def verdict(report: Report, attempt: Attempt) -> Verdict:
    if report.code == 0:
        return Verdict.DONE
    if attempt.number <= RETRIES and ran_out(report.code, report.text):
        return Verdict.AGAIN
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
