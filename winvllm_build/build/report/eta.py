"""When a build will be done: what is left, scheduled as it will run, corrected by what came true so far."""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from typing_extensions import assert_never

from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.events import (
    CompileBegun,
    EdgeDone,
    EdgeEnded,
    EdgeStarted,
    Event,
    PlannedEdge,
    Sample,
)
from winvllm_build.build.plan import schedule
from winvllm_build.build.plan.schedule import Job

UNSURE: Final = 0.2
"""Standard deviation, as a logarithm, of how far predictions as a whole are off (machine, load)."""
SPREAD: Final = 0.2
"""The same of a single edge around that, before any has ended; counts as much as `DOUBT` edges."""
DOUBT: Final = 2.0
HALF_BELIEVED: Final = 0.25
"""An edge of this part of an average one counts half as much as a long one."""
OUTLIER: Final = math.log(3.0)
"""A single edge is not believed to be off by more than this factor from the others."""
SHORTEST: Final = 0.01
"""Seconds below which a time says nothing."""
LINGER: Final = 0.15
"""An edge that outlives its prediction is expected to need this part of its age once more."""
HITS_DOUBTED: Final = 2.0
"""Edges that are taken to have missed the cache before anything is known."""


@dataclass(frozen=True, slots=True)
class _Measured:
    predicted: float
    seconds: float
    basis: Basis


@dataclass(slots=True)
class _Running:
    cost: Cost
    memory: int
    started: float


class Estimator:
    """Fed with the events of a run; knows no clock of its own."""

    def __init__(self, begun: CompileBegun) -> None:
        self._slots, self._budget = begun.slots, begun.budget
        costs = {planned.edge.output: planned.cost for planned in begun.edges}
        self._waiting = dict(costs)
        jobs = schedule.jobs_of((planned.edge for planned in begun.edges), lambda edge: costs[edge.output])
        self._after = {job.name: job.after for job in jobs}
        self._running: dict[str, _Running] = {}
        self._measured: list[_Measured] = []
        self._hits: list[float] = []
        self._total = len(begun.edges)
        self._finished = self._ended = 0
        self._mean = _mean(begun.edges)

    def see(self, event: Event) -> None:
        """Take in an event; those that say nothing of time are passed over."""
        if isinstance(event, EdgeStarted):
            self._start(event)
        elif isinstance(event, EdgeEnded):
            self._end(event.record)
        elif isinstance(event, EdgeDone):
            self._finished, self._total = max(event.finished, self._ended), event.total
        elif isinstance(event, Sample):
            self._budget = event.budget

    def _start(self, event: EdgeStarted) -> None:
        output = event.edge.output
        cost = self._waiting.pop(output, None)
        if cost is None:
            cost = Cost(seconds=event.seconds, memory=event.memory, size=0, basis=Basis.CLASS)
        self._running[output] = _Running(cost=cost, memory=event.memory, started=event.at)

    def _end(self, record: EdgeRecord) -> None:
        output = record.edge.output
        running = self._running.pop(output, None)
        cost = running.cost if running is not None else self._waiting.pop(output, None)
        match record.outcome:
            case Outcome.COMPILED:
                if cost is not None and cost.seconds > 0:
                    self._measured.append(_Measured(cost.seconds, max(record.seconds, 0.0), cost.basis))
            case Outcome.CACHED | Outcome.REUSED:
                self._hits.append(max(record.seconds, 0.0))
            case Outcome.RETRIED:
                if cost is not None:  # it comes again when nothing else runs
                    self._waiting[output] = replace(cost, memory=max(self._budget, cost.memory) + 1)
                return
            case Outcome.FAILED:
                pass
            case _:
                assert_never(record.outcome)
        self._ended += 1
        self._finished = max(self._finished, self._ended)

    def remaining(self, now: float) -> float | None:
        """Seconds from `now` (since the epoch) to the last edge's end; None while nothing is known."""
        if not self._waiting and not self._running:
            left = self._total - self._finished
            return 0.0 if left <= 0 else None
        ratios = self._ratios(now)
        share, quick = self._hit_share()
        running = [self._rest(output, one, ratios, now) for output, one in self._running.items()]
        waiting = [
            Job(
                name=output, memory=cost.memory, after=self._after.get(output, ()),
                seconds=(1 - share) * cost.seconds * ratios[cost.basis] + share * quick,
            )
            for output, cost in self._waiting.items()
        ]  # fmt: skip
        unknown = self._total - self._finished - len(waiting) - len(running)
        waiting += [
            Job(name=f"?{number}", seconds=self._mean * ratios[Basis.CLASS], memory=0)
            for number in range(unknown)
        ]
        begun = frozenset(self._running)
        return schedule.simulate(
            [*running, *waiting], slots=self._slots, budget=self._budget, running=begun
        ).makespan

    def _rest(self, output: str, one: _Running, ratios: dict[Basis, float], now: float) -> Job:
        age = max(now - one.started, 0.0)
        expected = one.cost.seconds * ratios[one.cost.basis]
        return Job(name=output, seconds=max(expected - age, LINGER * age), memory=one.memory)

    def _hit_share(self) -> tuple[float, float]:
        """The part of the edges that need not run, and how long such an edge takes."""
        if not self._hits:
            return 0.0, 0.0
        share = len(self._hits) / (len(self._hits) + len(self._measured) + HITS_DOUBTED)
        return share, statistics.fmean(self._hits)

    def _ratios(self, now: float) -> dict[Basis, float]:
        """For each basis what its predictions have to be multiplied with."""
        overall = math.exp(_factor(self._measured, self._mean, 0.0))
        late = [
            _Measured(one.cost.seconds, now - one.started, one.cost.basis)
            for one in self._running.values()
            if now - one.started > one.cost.seconds * overall > 0
        ]
        seen = [*self._measured, *late]
        common = _factor(seen, self._mean, 0.0)
        return {
            basis: math.exp(_factor([one for one in seen if one.basis is basis], self._mean, common))
            for basis in Basis
        }


def _factor(seen: Sequence[_Measured], mean: float, prior: float) -> float:
    """The logarithm of what came true over what was predicted.

    An edge is believed the more the longer it is, and the prior the more the less edges agree.

    Args:
        seen: what is known.
        mean: seconds of an average edge.
        prior: the logarithm that holds without anything seen.
    """
    if not seen:
        return prior
    logs = [math.log(max(one.seconds, SHORTEST) / max(one.predicted, SHORTEST)) for one in seen]
    middle = statistics.median(logs)
    logs = [min(max(value, middle - OUTLIER), middle + OUTLIER) for value in logs]
    weights = [one.predicted / (one.predicted + HALF_BELIEVED * mean) for one in seen]
    count = sum(weights)
    found = sum(map(operator.mul, weights, logs)) / count if count else prior
    spread = sum(weight * (value - found) ** 2 for weight, value in zip(weights, logs, strict=True))
    variance = (spread + DOUBT * SPREAD**2) / (count + DOUBT)
    trust = variance / UNSURE**2
    return (count * found + trust * prior) / (count + trust)


def _mean(edges: Iterable[PlannedEdge]) -> float:
    found = [planned.cost.seconds for planned in edges]
    return statistics.fmean(found) if found else 0.0
