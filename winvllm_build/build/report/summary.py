"""The figures of a run: what took long, what memory it took, how well the machine was used."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.plan.costs import own_core
from winvllm_build.build.report.board import label_of
from winvllm_build.build.report.run import Origin, Run

SHOWN: Final = 10
ROUNDING: Final = 1.05
"""An edge took more memory than predicted from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How well edges were predicted; ratios are measured over predicted, for those that ran.

    Both are seconds with a core of one's own, so that a busy machine is no error of the predictions.

    Attributes:
        edges: that were predicted and ran.
        median: of the ratios of their seconds.
        within: part of them that took between half and twice what was predicted.
        over_memory: edges that took more memory than predicted.
    """

    edges: int
    median: float
    within: float
    over_memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The figures.

    Attributes:
        counts: how many edges ended how; the last attempt counts, retries beside it.
        ran: edges whose command really ran.
        work: seconds of all attempts together.
        cpu: CPU seconds of all attempts together.
        waited: seconds that edges were held back, together.
        slots: edges at a time that were allowed; where unknown the most that ran at once.
        utilisation: part of the slots' time that was used.
        tail: seconds at the end in which fewer edges than slots ran.
        peak: the most resident bytes that were seen at once.
        budget: bytes that were allowed.
        slowest: attempts that took longest.
        largest: attempts that took most memory.
        accuracy: of the predictions; None without any.
    """

    counts: Mapping[Outcome, int]
    ran: int
    work: float
    cpu: float
    waited: float
    slots: int
    utilisation: float
    tail: float
    tail_edges: tuple[str, ...]
    peak: int
    budget: int
    slowest: tuple[EdgeRecord, ...]
    largest: tuple[EdgeRecord, ...]
    accuracy: Accuracy | None


def summarise(run: Run) -> Summary:
    """The figures of a run."""
    counts = dict.fromkeys(Outcome, 0)
    for record in run.final.values():
        counts[record.outcome] += 1
    counts[Outcome.RETRIED] = sum(record.outcome is Outcome.RETRIED for record in run.records)
    worked = [record for record in run.records if record.outcome is not Outcome.REUSED]
    slots = run.slots or most_at_once(run.records)
    work = sum(record.seconds for record in worked)
    begun_tail, tail_edges = _tail(run, slots)
    return Summary(
        counts=counts, ran=len(worked), work=work, cpu=sum(record.cpu for record in worked),
        waited=sum(max(record.started - record.asked, 0.0) for record in run.records),
        slots=slots, utilisation=min(work / (slots * run.seconds), 1.0) if slots and run.seconds else 0.0,
        tail=max(run.ended - begun_tail, 0.0), tail_edges=tail_edges, peak=_peak(run),
        budget=run.budget or max((sample.budget for sample in run.samples), default=0),
        slowest=tuple(heapq.nlargest(SHOWN, worked, key=lambda record: record.seconds)),
        largest=tuple(
            heapq.nlargest(SHOWN, (one for one in worked if one.memory), key=lambda record: record.memory)
        ),
        accuracy=_accuracy(worked),
    )  # fmt: skip


def most_at_once(records: Sequence[EdgeRecord]) -> int:
    """The largest number of edges that ran at the same time."""
    moments = sorted(
        [(record.started, 1) for record in records] + [(record.ended - 0.002, -1) for record in records]
    )
    most = now = 0
    for _, step in moments:
        now += step
        most = max(most, now)
    return most


def _peak(run: Run) -> int:
    """As sampled; one edge's own peak can lie between two samples."""
    sampled = max((sample.used for sample in run.samples), default=0)
    return max(sampled, max((record.memory for record in run.records), default=0))


def _tail(run: Run, slots: int) -> tuple[float, tuple[str, ...]]:
    """When for the last time all slots were used, and what still ran then, the last to end first."""
    now, full = 0, run.begun
    moments = sorted(
        [(record.started, 1) for record in run.records] + [(record.ended, -1) for record in run.records]
    )
    for at, step in moments:
        if now >= slots > 0:
            full = at
        now += step
    rest = [record for record in run.records if record.ended > full]
    rest.sort(key=lambda record: -record.ended)
    return full, tuple(label_of(record.edge) for record in rest)


def _accuracy(worked: Sequence[EdgeRecord]) -> Accuracy | None:
    seen = [
        record for record in worked
        if record.outcome is Outcome.COMPILED and record.predicted_seconds > 0 and record.seconds > 0
    ]  # fmt: skip
    if not seen:
        return None
    ratios = sorted(own_core(record, record.predicted_seconds) / record.predicted_seconds for record in seen)
    return Accuracy(
        edges=len(seen), median=ratios[len(ratios) // 2],
        within=sum(0.5 <= ratio <= 2.0 for ratio in ratios) / len(ratios),  # noqa: PLR2004 - half and twice
        over_memory=sum(record.memory > ROUNDING * record.predicted_memory > 0 for record in seen),
    )  # fmt: skip


def as_data(run: Run, found: Summary) -> dict[str, Any]:
    """Plain values for `--json`: the run, its figures, every attempt."""
    return {
        "run": {
            "name": run.name, "origin": run.origin.value, "ending": run.ending.value, "tag": run.tag,
            "archs": list(run.archs), "build": run.build, "begun": round(run.begun, 3),
            "seconds": round(run.seconds, 3), "slots": run.slots, "budget": run.budget, "torn": run.torn,
            "steps": dict(run.steps), "cut_off": sorted(run.unended),
        },
        "edges": {outcome.value: count for outcome, count in found.counts.items()},
        "ran": found.ran,
        "work_seconds": round(found.work, 3),
        "cpu_seconds": round(found.cpu, 3),
        "waited_seconds": round(found.waited, 3),
        "slots": found.slots,
        "utilisation": round(found.utilisation, 4),
        "tail": {"seconds": round(found.tail, 3), "edges": list(found.tail_edges)},
        "memory": {"peak": found.peak, "budget": found.budget},
        "accuracy": None if found.accuracy is None else {
            "edges": found.accuracy.edges, "median": round(found.accuracy.median, 4),
            "within_half_and_twice": round(found.accuracy.within, 4),
            "over_memory": found.accuracy.over_memory,
        },
        "attempts": list(attempts(run)),
    }  # fmt: skip


def attempts(run: Run) -> Iterator[dict[str, Any]]:
    """Every attempt that ended; times in seconds from the beginning of the run."""
    known = run.origin is Origin.RECORD
    for lane, record in zip(run.lanes, run.records, strict=True):
        yield {
            "output": record.edge.output, "label": label_of(record.edge), "target": record.edge.target,
            "language": record.edge.language.value, "gencodes": list(record.edge.gencodes),
            "outcome": record.outcome.value, "attempt": record.attempt, "slot": lane,
            "start": round(record.started - run.begun, 3), "seconds": round(record.seconds, 3),
            "waited": round(max(record.started - record.asked, 0.0), 3), "code": record.code,
            "cpu": round(record.cpu, 3) if known else None, "memory": record.memory if known else None,
            "size": record.size if known else None,
            "predicted_seconds": round(record.predicted_seconds, 3) if known else None,
            "predicted_memory": record.predicted_memory if known else None,
        }  # fmt: skip
