"""What the order of the manifest and the lookahead are worth: `python -m benchmarks.lookahead`.

The table of docs/engine.md. Simulated with the gate's own policy: builds of 360 edges whose memory is between
0.4 and 6 GiB, as those of vLLM; ratios to the lower bound. Real seconds are 30 % off (lognormal) from those
that order and admission go by.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.build.engine.admission import Load, Rules, Wish, choose
from winvllm_build.build.plan.schedule import Job, lower_bound
from winvllm_build.build.plan.sequence import Order, shortest

GIB: Final = 1 << 30
EDGES: Final = 360
BUILDS: Final = 6
OFF: Final = 0.3
MACHINES: Final = ((2, 7), (4, 8), (4, 12), (8, 12), (8, 24), (16, 24), (16, 40))
"""Slots, GiB."""
KINDS: Final = (
    (0.30, (40, 70), (0.4, 0.7)),
    (0.20, (80, 150), (3.0, 4.3)),
    (0.05, (150, 420), (4.0, 6.0)),
    (0.45, (5, 40), (0.4, 1.2)),
)
"""Share of the edges, seconds, GiB: Marlin, flash-attention, CUTLASS, ordinary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """An order of the manifest, and how many edges wait at the gate."""

    name: str
    planned: bool
    lookahead: int


WAYS: Final = (
    Way(name="longest first, 8 wait", planned=False, lookahead=8),
    Way(name="planned, none waits (a jobserver)", planned=True, lookahead=0),
    Way(name="planned, 8 wait (the gate)", planned=True, lookahead=8),
    Way(name="planned, 32 wait", planned=True, lookahead=32),
)


def build(numbers: random.Random) -> list[Job]:
    jobs = []
    for at in range(EDGES):
        kind = numbers.choices(KINDS, weights=[share for share, _, _ in KINDS])[0]
        seconds, memory = numbers.uniform(*kind[1]), numbers.uniform(*kind[2])
        jobs.append(Job(name=str(at), seconds=seconds, memory=int(memory * GIB)))
    return jobs


def _starts(way: Way, waiting: int, running: int, slots: int) -> bool:
    """Whether ninja starts one more; what holds a jobserver knows the next edge and no other."""
    if way.lookahead == 0:
        return waiting == 0 and running < slots
    return waiting + running < slots + way.lookahead


def makespan(
    jobs: Sequence[Job], real: Sequence[Job], way: Way, plan: Order, *, slots: int, budget: int
) -> float:
    """Seconds that `real` takes, which admission takes for `jobs`."""
    order, urgency = sorted(jobs, key=lambda job: -job.seconds), {job.name: job.seconds for job in jobs}
    if way.planned:
        by_name = {job.name: job for job in jobs}
        order, urgency = [by_name[name] for name in plan.names], dict(plan.urgency)
    took = {job.name: job.seconds for job in real}
    rules = Rules(slots=slots, budget=budget)
    waiting: list[Wish] = []
    running: list[tuple[float, str, Load]] = []
    now, at = 0.0, 0
    while at < len(order) or waiting or running:
        while at < len(order) and _starts(way, len(waiting), len(running), slots):
            job, at = order[at], at + 1
            waiting.append(Wish(output=job.name, memory=job.memory, urgency=urgency[job.name]))
        chosen = choose(waiting, [load for _, _, load in running], rules)
        for wish in chosen:
            waiting.remove(wish)
            heapq.heappush(running, (now + took[wish.output], wish.output, Load(memory=wish.memory)))
        if running and (not chosen or at == len(order)):
            now = heapq.heappop(running)[0]
    return now


def ratios(slots: int, gib: int) -> list[float]:
    """How much longer than the lower bound each way takes, on average."""
    numbers, budget = random.Random(f"{slots} {gib}"), gib * GIB  # noqa: S311 - no secrets
    found: list[list[float]] = [[] for _ in WAYS]
    for _ in range(BUILDS):
        jobs = build(numbers)
        real = [replace(job, seconds=job.seconds * numbers.lognormvariate(0, OFF)) for job in jobs]
        plan = shortest(jobs, slots=slots, budget=budget)
        least = lower_bound(real, slots=slots, budget=budget)
        for way, cells in zip(WAYS, found, strict=True):
            cells.append(makespan(jobs, real, way, plan, slots=slots, budget=budget) / least)
    return [statistics.mean(cells) for cells in found]


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"{'slots x GiB':>12}" + "".join(f"{way.name:>36}" for way in WAYS))
    for slots, gib in MACHINES:
        print(
            f"{f'{slots} x {gib}':>12}" + "".join(f"{one:>36.3f}" for one in ratios(slots, gib)), flush=True
        )


if __name__ == "__main__":
    main()
