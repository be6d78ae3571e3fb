"""How edges fit on a machine: list scheduling with slots and a memory budget, as a pure function."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from winvllm_build.build.engine.cost import Cost
from winvllm_build.build.engine.edge import Edge, Language

SHORTEST: Final = 0.001
"""Seconds; less is not told apart."""
PARTS: Final = 8
"""Beyond so many edges at a time within the budget, the bound by bytes is as good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work.

    Attributes:
        name: the output of the edge.
        seconds: how long it runs.
        memory: bytes it needs while it runs.
        after: names of jobs that have to end before; names that are no jobs count as done.
    """

    name: str
    seconds: float
    memory: int
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A job in time, seconds from the beginning, and the slot it has, from 0."""

    job: Job
    start: float
    end: float
    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When each job runs.

    Attributes:
        spans: in the order of their start.
        makespan: seconds from the beginning to the last end.
        peak: the most bytes in use at one time.
        slots: jobs at a time, and
        budget: bytes that they may use together, as it was simulated with.
    """

    spans: tuple[Span, ...]
    makespan: float
    peak: int
    slots: int
    budget: int

    @property
    def bound(self) -> float:
        """Seconds that no schedule can beat; see `lower_bound`."""
        jobs = [span.job for span in self.spans]
        found = lower_bound(jobs, slots=self.slots, budget=self.budget)
        return min(found, self.makespan)  # sums of many seconds differ in their last digits


def jobs_of(edges: Iterable[Edge], predict: Callable[[Edge], Cost]) -> tuple[Job, ...]:
    """The jobs of a build; a link waits for the objects that its command names."""
    listed = tuple(edges)
    objects = {edge.output for edge in listed if edge.language is not Language.LINK}
    jobs = []
    for edge in listed:
        cost = predict(edge)
        words = edge.arguments if edge.language is Language.LINK else ()
        after = tuple(word for word in (text.replace("\\", "/") for text in words) if word in objects)
        jobs.append(Job(name=edge.output, seconds=cost.seconds, memory=cost.memory, after=after))
    return tuple(jobs)


def simulate(
    jobs: Sequence[Job],
    *,
    slots: int,
    budget: int,
    running: frozenset[str] = frozenset(),
    urgency: Mapping[str, float] | None = None,
    balance: float = 0.0,
) -> Schedule:
    """The most urgent first, each as soon as a slot is free and its memory fits; smaller ones overtake.

    A job that exceeds the budget runs when nothing else does.

    Args:
        jobs: what is to run; each name once, no cycles.
        slots: jobs at a time, at least 1.
        budget: bytes that jobs may use together.
        running: names of jobs that have begun already and have `seconds` left; they come first.
        urgency: what comes first, the greatest; None for the longest with what has to follow it.
        balance: above 0 what comes first is long and takes about the share of the free memory that is due to
            a free slot, the more strictly the greater; so neither slots nor memory are used up alone.

    Raises:
        ValueError: jobs wait for each other.
    """
    run = _Run(
        jobs=jobs, slots=max(slots, len(running), 1), budget=budget, begun=running, urgency=urgency,
        balance=balance,
    )  # fmt: skip
    run.go()
    return Schedule(
        spans=tuple(run.spans),
        makespan=max((span.end for span in run.spans), default=0.0),
        peak=run.peak,
        slots=slots,
        budget=budget,
    )


def lower_bound(jobs: Sequence[Job], *, slots: int, budget: int) -> float:
    """Seconds that no schedule of these jobs can beat.

    The largest of: all work shared among the slots; the longest chain of jobs that wait for each other; how
    long the memory is taken, whatever is beside what (see `_packed`).
    """
    work = math.fsum(job.seconds for job in jobs) / max(slots, 1)
    return max(work, _packed(jobs, max(budget, 1)), max(tails(jobs).values(), default=0.0))


def _packed(jobs: Sequence[Job], budget: int) -> float:
    """Seconds for which memory is taken, by dual feasible functions (Fekete and Schepers).

    Such a function maps shares of the budget so that the shares of what fits together still add up to 1 at
    most; then its sum over all jobs, each as long as it runs, is a bound. The share itself is the plainest.
    """
    jobs_by_memory = [(min(job.memory, budget), job.seconds) for job in jobs]

    def total(share: Callable[[int], float]) -> float:
        return math.fsum(share(memory) * seconds for memory, seconds in jobs_by_memory)

    def in_parts(parts: int, memory: int) -> float:
        """More than 1/2 counts as 1; or more than 1/3 as 1/2 and more than 2/3 as 1; and so on."""
        whole, rest = divmod((parts + 1) * memory, budget)
        return whole / parts if rest else memory / budget

    def without(least: int, memory: int) -> float:
        """What leaves room only for shares below `least` counts as 1, those below it as nothing."""
        return 1.0 if memory > budget - least else memory / budget if memory >= least else 0.0

    leasts = {memory for memory, _ in jobs_by_memory if 2 * memory <= budget}
    return max(
        *(total(partial(in_parts, parts)) for parts in range(1, PARTS + 1)),
        *(total(partial(without, least)) for least in leasts | {0}),
    )


def tails(jobs: Sequence[Job]) -> dict[str, float]:
    """For each job the seconds from its start to the end of what has to follow it.

    Raises:
        ValueError: jobs wait for each other.
    """
    followers = _followers(jobs)
    open_followers = {name: len(after) for name, after in followers.items()}
    by_name = {job.name: job for job in jobs}
    found: dict[str, float] = {}
    ready = [name for name, count in open_followers.items() if count == 0]
    while ready:
        job = by_name[ready.pop()]
        found[job.name] = job.seconds + max((found[name] for name in followers[job.name]), default=0.0)
        for before in set(job.after) & by_name.keys():
            open_followers[before] -= 1
            if open_followers[before] == 0:
                ready.append(before)
    if len(found) != len(by_name):
        stuck = sorted(by_name.keys() - found.keys())
        raise ValueError(f"jobs wait for each other: {', '.join(stuck[:5])}")
    return found


def _followers(jobs: Sequence[Job]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {job.name: [] for job in jobs}
    for job in jobs:
        for before in set(job.after) & found.keys():
            found[before].append(job.name)
    return found


@dataclass(slots=True, kw_only=True)
class _Run:
    """The state of one simulation."""

    jobs: Sequence[Job]
    slots: int
    budget: int
    begun: frozenset[str] = frozenset()
    urgency: Mapping[str, float] | None = None
    balance: float = 0.0
    now: float = 0.0
    used: int = 0
    peak: int = 0
    spans: list[Span] = field(default_factory=list)
    running: list[tuple[float, int, Job]] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    ready: list[Job] = field(default_factory=list)
    logs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    priority: Mapping[str, tuple[bool, float, str]] = field(default_factory=dict)

    def go(self) -> None:
        rest = tails(self.jobs)
        urgency = rest if self.urgency is None else self.urgency
        if self.balance:
            self.logs = {
                job.name: (math.log(max(job.memory, 1)), math.log(max(rest[job.name], SHORTEST)))
                for job in self.jobs
            }
        self.priority = {
            job.name: (job.name not in self.begun, -urgency[job.name], job.name) for job in self.jobs
        }
        self.free = list(range(self.slots))
        followers, by_name = _followers(self.jobs), {job.name: job for job in self.jobs}
        blocked = {job.name: len(set(job.after) & by_name.keys()) for job in self.jobs}
        self.ready = self._ordered([job for job in self.jobs if blocked[job.name] == 0])
        self.start()
        while self.running:
            freed = []
            for ended in self._advance():
                for name in followers[ended.name]:
                    blocked[name] -= 1
                    if blocked[name] == 0:
                        freed.append(by_name[name])
            if freed:
                self.ready = self._ordered([*self.ready, *freed])
            self.start()

    def start(self) -> None:
        """Start what fits, in order; what does not fit is overtaken."""
        if self.balance:
            self._start_balanced()
            return
        left = []
        for at, job in enumerate(self.ready):
            if not self.free:
                left += self.ready[at:]
                break
            if self._fits(job):
                self._begin(job)
            else:
                left.append(job)
        self.ready = left

    def _start_balanced(self) -> None:
        while self.free:
            due = math.log(max((self.budget - self.used) / len(self.free), 1.0))
            ranks = (
                (job.name not in self.begun, self.balance * (self.logs[job.name][0] - due) ** 2
                 - self.logs[job.name][1], job.name, at)
                for at, job in enumerate(self.ready) if self._fits(job)
            )  # fmt: skip
            *_, best = min(ranks, default=(-1,))
            if best < 0:
                return
            self._begin(self.ready.pop(best))

    def _fits(self, job: Job) -> bool:
        return job.name in self.begun or not self.running or self.used + job.memory <= self.budget

    def _begin(self, job: Job) -> None:
        slot = heapq.heappop(self.free)
        self.used += job.memory
        self.peak = max(self.peak, self.used)
        heapq.heappush(self.running, (self.now + job.seconds, slot, job))
        self.spans.append(Span(job=job, start=self.now, end=self.now + job.seconds, slot=slot))

    def _advance(self) -> list[Job]:
        """Go to the next end, and take off all that end then."""
        self.now = self.running[0][0]
        ended = []
        while self.running and self.running[0][0] <= self.now:
            _, slot, job = heapq.heappop(self.running)
            heapq.heappush(self.free, slot)
            self.used -= job.memory
            ended.append(job)
        return ended

    def _ordered(self, jobs: list[Job]) -> list[Job]:
        return sorted(jobs, key=lambda job: self.priority[job.name])
