"""The order in which a build's edges are best started on a machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.build.plan.schedule import Job, Schedule, simulate

WEIGHTS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Powers of memory that are tried: where memory is scarce, what needs most of it has to start early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A schedule, and the power of memory that its order is by."""

    schedule: Schedule
    weight: float

    @property
    def names(self) -> tuple[str, ...]:
        """The jobs in the order of their start."""
        return tuple(span.job.name for span in self.schedule.spans)


def shortest(jobs: Sequence[Job], *, slots: int, budget: int) -> Order:
    """The order that ends first of those tried; the plain one, longest first, where others gain nothing."""
    found = (
        Order(schedule=simulate(jobs, slots=slots, budget=budget, weight=weight), weight=weight)
        for weight in WEIGHTS
    )
    return min(found, key=lambda one: one.schedule.makespan)
