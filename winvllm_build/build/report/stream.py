"""Events as lines of JSON: what `--events` writes and the record of a run is made of (docs/report.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from typing_extensions import assert_never

from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.events import (
    CompileBegun,
    EdgeDone,
    EdgeEnded,
    EdgeStarted,
    Event,
    Note,
    PlannedEdge,
    Sample,
    StepBegun,
    StepDone,
)

SCHEMA: Final = 1
"""Grows when a field changes its meaning or goes; new fields and new kinds of lines may come any time."""
MILLISECONDS: Final = 3


def line(value: Mapping[str, Any]) -> bytes:
    """One line of the stream; ASCII, so that no code page and no lone surrogate can break it."""
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def opened(*, at: float, version: str) -> dict[str, Any]:
    """The first line."""
    return {"event": "stream_begun", "at": _time(at), "schema": SCHEMA, "tool": f"winvllm-build {version}"}


def closed(*, at: float, outcome: str) -> dict[str, Any]:
    """The last line; a stream without it was cut off."""
    return {"event": "stream_ended", "at": _time(at), "outcome": outcome}


def encode(  # noqa: PLR0911 - one for each kind of event
    event: Event, *, at: float, remaining: float | None = None
) -> dict[str, Any]:
    """An event as plain values.

    Args:
        event: what happened.
        at: seconds since the epoch, for events that have no time of their own.
        remaining: a better estimate than the event's own, if there is one.
    """
    match event:
        case StepBegun():
            return {
                "event": "step_begun",
                "at": _time(at),
                "step": event.step.value,
                "title": text(event.title),
            }
        case StepDone():
            return {
                "event": "step_done", "at": _time(at), "step": event.step.value,
                "seconds": _time(event.seconds), "summary": text(event.summary),
            }  # fmt: skip
        case Note():
            return {"event": "note", "at": _time(at), "text": text(event.text)}
        case CompileBegun():
            return _begun(event)
        case EdgeDone():
            left = remaining if remaining is not None else event.remaining
            return {
                "event": "edge_done", "at": _time(at), "finished": event.finished, "total": event.total,
                "title": text(event.title), "failed": event.failed, "elapsed": _time(event.elapsed),
                "remaining": None if left is None else round(left, 1),
            }  # fmt: skip
        case EdgeStarted():
            return {
                "event": "edge_started", "at": _time(event.at), "edge": _edge(event.edge),
                "attempt": event.attempt, "memory": event.memory, "seconds": _time(event.seconds),
            }  # fmt: skip
        case EdgeEnded():
            return _ended(event.record)
        case Sample():
            return {
                "event": "sample", "at": _time(event.at), "budget": event.budget, "waiting": event.waiting,
                "used": {text(output): used for output, used in event.used.items()},
            }  # fmt: skip
        case _:
            assert_never(event)


def text(path: str) -> str:
    """A path or message as text; bytes that are no UTF-8 are written out."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _begun(event: CompileBegun) -> dict[str, Any]:
    return {
        "event": "compile_begun", "at": _time(event.at), "build": text(str(event.build)),
        "tag": text(event.tag), "archs": list(event.archs), "slots": event.slots, "budget": event.budget,
        "edges": [{**_edge(one.edge), "predicted": _cost(one.cost)} for one in event.edges],
    }  # fmt: skip


def _ended(record: EdgeRecord) -> dict[str, Any]:
    return {
        "event": "edge_ended", "edge": _edge(record.edge), "outcome": record.outcome.value,
        "attempt": record.attempt, "asked": _time(record.asked), "started": _time(record.started),
        "ended": _time(record.ended), "cpu": _time(record.cpu), "memory": record.memory,
        "size": record.size, "code": record.code, "predicted_memory": record.predicted_memory,
        "predicted_seconds": _time(record.predicted_seconds),
    }  # fmt: skip


def _edge(edge: Edge) -> dict[str, Any]:
    """Without its command line, which `compile_commands.json` has."""
    return {
        "output": text(edge.output), "target": text(edge.target), "language": edge.language.value,
        "source": text(edge.source), "gencodes": list(edge.gencodes), "key": edge.key,
    }  # fmt: skip


def _cost(cost: Cost) -> dict[str, Any]:
    return {
        "seconds": _time(cost.seconds), "memory": cost.memory, "size": cost.size, "basis": cost.basis.value,
    }  # fmt: skip


def _time(seconds: float) -> float:
    return round(seconds, MILLISECONDS)


def edge_of(value: Mapping[str, Any]) -> Edge:
    """The edge in a line.

    Raises:
        KeyError, TypeError, ValueError: the line has none, or not a whole one.
    """
    return Edge(
        output=str(value["output"]), target=str(value["target"]), language=Language(value["language"]),
        source=str(value["source"]), gencodes=tuple(map(str, value["gencodes"])), arguments=(),
        key=str(value["key"]),
    )  # fmt: skip


def planned_of(value: Mapping[str, Any]) -> PlannedEdge:
    """An edge of `compile_begun`; raises as `edge_of`."""
    cost = value["predicted"]
    return PlannedEdge(
        edge=edge_of(value),
        cost=Cost(
            seconds=float(cost["seconds"]), memory=int(cost["memory"]), size=int(cost["size"]),
            basis=Basis(cost["basis"]),
        ),
    )  # fmt: skip


def record_of(value: Mapping[str, Any]) -> EdgeRecord:
    """The record in a line `edge_ended`; raises as `edge_of`."""
    return EdgeRecord(
        edge=edge_of(value["edge"]), outcome=Outcome(value["outcome"]), attempt=int(value["attempt"]),
        asked=float(value["asked"]), started=float(value["started"]), ended=float(value["ended"]),
        cpu=float(value["cpu"]), memory=int(value["memory"]), size=int(value["size"]),
        code=int(value["code"]), predicted_memory=int(value["predicted_memory"]),
        predicted_seconds=float(value["predicted_seconds"]),
    )  # fmt: skip
