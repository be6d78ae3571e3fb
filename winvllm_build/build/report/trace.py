"""A run in the format of Chrome's trace viewer, which Perfetto and Speedscope read too.

Used are `X` (from-to), `b` and `e` (from-to, overlapping), `C` (counter), `M` (names). Times are microseconds
from the beginning of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.report.board import label_of, outcome_words
from winvllm_build.build.report.run import Run, edge_named

COMPILE: Final = 1
WAITING: Final = 2
SHORTEST: Final = 0.05
"""Seconds of waiting below which it is not drawn."""
COLOURS: Final = {
    Outcome.FAILED: "terrible",
    Outcome.RETRIED: "bad",
    Outcome.CACHED: "good",
    Outcome.REUSED: "good",
}
"""Names that the viewer reserves."""


def trace(run: Run) -> dict[str, Any]:
    """The whole file."""
    return {
        "traceEvents": [*_names(run), *_edges(run), *_unended(run), *_waiting(run), *_memory(run)],
        "displayTimeUnit": "ms",
        "otherData": {"run": run.name, "tag": run.tag, "archs": ", ".join(run.archs), "build": run.build},
    }


def _names(run: Run) -> Iterator[dict[str, Any]]:
    what = " ".join(part for part in ("vLLM", run.tag, *run.archs) if part)
    yield _name("process_name", COMPILE, 0, {"name": f"compile {what}"})
    lanes = max(run.lanes, default=-1) + 1
    for lane in range(lanes):
        yield _name("thread_name", COMPILE, lane + 1, {"name": f"slot {lane + 1}"})
        yield _name("thread_sort_index", COMPILE, lane + 1, {"sort_index": lane})
    for number, output in enumerate(sorted(run.unended), start=lanes + 1):
        yield _name("thread_name", COMPILE, number, {"name": f"cut off: {output.rpartition('/')[2]}"})
    if any(_waited(record) for record in run.records):
        yield _name("process_name", WAITING, 0, {"name": "held back"})


def _name(kind: str, process: int, thread: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": arguments}


def _edges(run: Run) -> Iterator[dict[str, Any]]:
    for lane, record in zip(run.lanes, run.records, strict=True):
        event = {
            "ph": "X", "name": label_of(record.edge), "cat": record.edge.language.value, "pid": COMPILE,
            "tid": lane + 1, "ts": _micro(record.started - run.begun), "dur": _micro(record.seconds),
            "args": _arguments(record),
        }  # fmt: skip
        if record.outcome in COLOURS:
            event["cname"] = COLOURS[record.outcome]
        yield event


def _arguments(record: EdgeRecord) -> dict[str, Any]:
    found = {
        "output": record.edge.output, "target": record.edge.target, "for": ", ".join(record.edge.gencodes),
        "how": outcome_words(record.outcome), "attempt": record.attempt if record.attempt > 1 else 0,
        "cpu seconds": round(record.cpu, 3), "memory MB": round(record.memory / 1e6),
        "predicted seconds": round(record.predicted_seconds, 3),
        "predicted memory MB": round(record.predicted_memory / 1e6), "exit code": record.code,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value}


def _unended(run: Run) -> Iterator[dict[str, Any]]:
    first = max(run.lanes, default=-1) + 2
    for number, (output, started) in enumerate(sorted(run.unended.items()), start=first):
        yield {
            "ph": "X", "name": label_of(edge_named(output)), "cat": "cut off", "pid": COMPILE, "tid": number,
            "ts": _micro(started - run.begun), "dur": _micro(run.ended - started), "args": {"output": output},
            "cname": "terrible",
        }  # fmt: skip


def _waiting(run: Run) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(run.records):
        if not _waited(record):
            continue
        common = {
            "name": label_of(record.edge), "cat": "held back", "pid": WAITING, "tid": 0, "id": number,
        }  # fmt: skip
        yield {**common, "ph": "b", "ts": _micro(record.asked - run.begun)}
        yield {**common, "ph": "e", "ts": _micro(record.started - run.begun)}


def _waited(record: EdgeRecord) -> bool:
    return record.started - record.asked >= SHORTEST


def _memory(run: Run) -> Iterator[dict[str, Any]]:
    for sample in run.samples:
        common = {"ph": "C", "pid": COMPILE, "tid": 0, "ts": _micro(sample.at - run.begun)}
        room = max(sample.budget - sample.used, 0)
        yield {**common, "name": "memory MB",
               "args": {"used": round(sample.used / 1e6), "free of budget": round(room / 1e6)}}  # fmt: skip
        yield {**common, "name": "edges held back", "args": {"waiting": sample.waiting}}


def _micro(seconds: float) -> int:
    return max(round(seconds * 1e6), 0)
