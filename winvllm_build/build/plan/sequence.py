"""The order in which a build's edges are best started on a machine."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.build.plan.schedule import Job, Schedule, simulate, tails

GIB: Final = 1 << 30
WEIGHTS: Final = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Powers of memory that are tried: where memory is scarce, what needs most of it has to start early."""
BALANCES: Final = (0.25, 1.0, 4.0)
"""Tried too: where slots are as scarce as memory, large edges run beside small ones. See `simulate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A schedule, and what makes it.

    Attributes:
        schedule: its spans come in the order in which the edges are best offered.
        urgency: for each job; of those that fit the one with the greatest starts first.
    """

    schedule: Schedule
    urgency: Mapping[str, float]

    @property
    def names(self) -> tuple[str, ...]:
        """The jobs in the order of their start."""
        return tuple(span.job.name for span in self.schedule.spans)


def shortest(jobs: Sequence[Job], *, slots: int, budget: int) -> Order:
    """The order that ends first of those tried; the plain one, longest first, where others gain nothing."""
    rest = tails(jobs)
    weighted = ({job.name: urgency(rest[job.name], job.memory, weight) for job in jobs} for weight in WEIGHTS)
    found = itertools.chain(
        (
            Order(schedule=simulate(jobs, slots=slots, budget=budget, urgency=urgencies), urgency=urgencies)
            for urgencies in weighted
        ),
        (_balanced(jobs, slots=slots, budget=budget, balance=balance) for balance in BALANCES),
    )
    return min(found, key=lambda one: one.schedule.makespan)


def urgency(seconds: float, memory: int, weight: float) -> float:
    """The longer the more, and where `weight` is not 0 the more memory the more."""
    return seconds * (memory / GIB) ** weight if weight else seconds


def _balanced(jobs: Sequence[Job], *, slots: int, budget: int, balance: float) -> Order:
    made = simulate(jobs, slots=slots, budget=budget, balance=balance)
    return Order(schedule=made, urgency={span.job.name: -at for at, span in enumerate(made.spans)})
