"""One run of a build as a value: which edges ran when, and what they took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

from winvllm_build.build.engine.cost import Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.report.ninjalog import Entry, Go


class Origin(Enum):
    """Where what is known of a run comes from."""

    RECORD = "record"
    NINJA = "ninja's log"
    """Times alone: ninja logs neither memory nor failures nor what was reused."""


class Ending(Enum):
    """How a run ended."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CUT_OFF = "cut off"
    """Killed, or still running: the record has no end."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Memory at one moment; seconds since the epoch, bytes."""

    at: float
    used: int
    budget: int
    waiting: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of the compile step.

    Attributes:
        name: UTC time of its beginning (`20261121T204222Z`); `ninja-` before it where only ninja's log tells.
        origin: where it comes from.
        ending: how it ended.
        tag: the vLLM tag; empty where unknown.
        archs: architectures; empty where unknown.
        build: the build folder, as text.
        begun: seconds since the epoch.
        ended: likewise; of the last thing known where the run was cut off.
        slots: edges that might run at once; 0 where unknown.
        budget: bytes that edges might use together; 0 where unknown.
        records: every attempt that ended, in the order of the ends.
        unended: edges that ran when the run was cut off, each with its start.
        samples: memory over time.
        planned: what each edge was reckoned to cost.
        steps: wall seconds of the other steps of the build.
        torn: lines of the record that could not be read.
    """

    name: str
    origin: Origin
    ending: Ending
    tag: str = ""
    archs: tuple[str, ...] = ()
    build: str
    begun: float
    ended: float
    slots: int = 0
    budget: int = 0
    records: tuple[EdgeRecord, ...]
    unended: Mapping[str, float]
    samples: tuple[Moment, ...] = ()
    planned: Mapping[str, Cost]
    steps: Mapping[str, float]
    torn: int = 0

    @property
    def seconds(self) -> float:
        return max(self.ended - self.begun, 0.0)

    @cached_property
    def final(self) -> Mapping[str, EdgeRecord]:
        """The last attempt at each edge, by output."""
        return {record.edge.output: record for record in self.records}

    @cached_property
    def lanes(self) -> tuple[int, ...]:
        """A line for each record such that none covers another, numbered from 0; few, and steady."""
        free: list[float] = []
        found = [0] * len(self.records)
        for at in sorted(range(len(self.records)), key=lambda one: self.records[one].started):
            record = self.records[at]
            lane = next((n for n, until in enumerate(free) if until <= record.started + OVERLAP), len(free))
            if lane >= self.slots > 0 and min(free) <= record.started + HANDED_OVER:
                lane = free.index(min(free))
            free[lane : lane + 1] = [record.ended]
            found[at] = lane
        return tuple(found)


OVERLAP: Final = 0.002
"""Seconds that the end of one edge and the beginning of the next may overlap by rounding."""
HANDED_OVER: Final = 2.0
"""Seconds by which an edge may begin before the end of the one in whose slot it runs is written down."""


def from_ninja(go: Go, *, build: str, name: str) -> Run:
    """A run that nobody watched; its records hold times alone."""
    records = tuple(_record(entry, go.begun) for entry in go.entries)
    return Run(
        name=name, origin=Origin.NINJA, ending=Ending.UNKNOWN, build=build,
        begun=min((record.started for record in records), default=go.begun),
        ended=max((record.ended for record in records), default=go.begun),
        records=records, unended={}, planned={}, steps={},
    )  # fmt: skip


def _record(entry: Entry, begun: float) -> EdgeRecord:
    started = begun + entry.start / 1000
    return EdgeRecord(
        edge=edge_named(entry.output), outcome=Outcome.COMPILED, attempt=1, asked=started, started=started,
        ended=started + entry.seconds, cpu=0.0, memory=0, size=0, code=0, predicted_memory=0,
        predicted_seconds=0.0,
    )  # fmt: skip


def edge_named(output: str) -> Edge:
    """What CMake's name of an output says of its edge."""
    folder, _, inside = output.replace("\\", "/").partition(".dir/")
    is_object = bool(inside) and output.endswith((".o", ".obj"))
    source = inside.rsplit(".", 1)[0] if is_object else ""
    target = folder.rpartition("CMakeFiles/")[2] if is_object else output.rpartition("/")[2].split(".")[0]
    language = Language.LINK
    if is_object:
        language = Language.CUDA if source.endswith(".cu") else Language.CXX
    return Edge(
        output=output, target=target, language=language, source=source, gencodes=(), arguments=(), key=""
    )
