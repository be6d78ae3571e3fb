"""What is known of one edge: its command, its output, its last record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.plan import edges
from winvllm_build.build.report import runs
from winvllm_build.errors import WinvllmError


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeFacts:
    """One edge.

    Attributes:
        output: as ninja names it.
        source: the file it compiles, its root named.
        gencodes: what device code is made for.
        command: the command line; empty where the folder is not configured.
        size: bytes of the output; None where it is not there.
        seconds: wall time of its last run; None where it never ended.
        memory: peak bytes of its last run, 0 where nobody measured.
        ended: when that was, seconds since the epoch; 0 where unknown.
        outcome: how it ended, in words.
    """

    output: str
    source: str = ""
    gencodes: tuple[str, ...] = ()
    command: str = ""
    size: int | None = None
    seconds: float | None = None
    memory: int = 0
    ended: float = 0.0
    outcome: str = ""

    def as_data(self) -> dict[str, Any]:
        return {
            "command": self.command,
            "ended": self.ended or None,
            "gencodes": list(self.gencodes),
            "memory": self.memory or None,
            "outcome": self.outcome or None,
            "output": self.output,
            "seconds": self.seconds,
            "size": self.size,
            "source": self.source,
        }


def read(build: Path, output: str) -> EdgeFacts:
    """What the build folder knows of the edge that makes `output`."""
    edge = _edge(build, output)
    file = build / output
    return EdgeFacts(
        output=output,
        source="" if edge is None else edge.source,
        gencodes=() if edge is None else edge.gencodes,
        command="" if edge is None else " ".join(edge.arguments),
        size=file.stat().st_size if file.is_file() else None,
        **_record(build, output),
    )


def _edge(build: Path, output: str) -> Edge | None:
    try:
        return next((edge for edge in edges.read(build, [output]) if edge.output == output), None)
    except WinvllmError:
        return None


def _record(build: Path, output: str) -> dict[str, Any]:
    """The last attempt at the edge that a run of the build or ninja's own log tells of."""
    try:
        known = runs.listed(build)
        record = next((r for one in known if (r := one.load().final.get(output)) is not None), None)
    except WinvllmError:
        return {}
    if record is None:
        return {}
    return {
        "seconds": record.seconds,
        "memory": record.memory,
        "ended": record.ended,
        "outcome": record.outcome.value,
    }
