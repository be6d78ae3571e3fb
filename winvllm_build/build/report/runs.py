"""The runs of a build folder: one file each, a bounded number, and what ninja's log has beside them."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from winvllm_build.build.engine.cost import Cost
from winvllm_build.build.engine.record import EdgeRecord
from winvllm_build.build.report import ninjalog, stream
from winvllm_build.build.report.run import Ending, Moment, Origin, Run, from_ninja
from winvllm_build.errors import UsageError

FOLDER: Final = "runs"
SUFFIX: Final = ".ndjson"
KEPT: Final = 20
"""Records in a build folder; older ones are removed."""
FORMAT: Final = "%Y%m%dT%H%M%SZ"
DIGITS: Final = 4
"""Of a part of a name, at least; shorter numbers are numbers."""
SAME_RUN: Final = 30.0
"""Seconds between the beginning that ninja's log tells and the one of the record of the same run, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A run that can be loaded; `begun` in seconds since the epoch, 0 where unknown."""

    name: str
    begun: float
    load: Callable[[], Run]


def name_of(begun: float) -> str:
    """`20261121T204222Z`."""
    return dt.datetime.fromtimestamp(begun, dt.timezone.utc).strftime(FORMAT)


def records(build: Path) -> tuple[Path, ...]:
    """The record files of a build folder, the oldest first."""
    return tuple(sorted((build / FOLDER).glob(f"*{SUFFIX}")))


def prune(build: Path, *, keep: int = KEPT) -> None:
    """Remove the oldest records; a file that something else holds open stays."""
    for old in records(build)[: -keep or None]:
        with contextlib.suppress(OSError):
            old.unlink()


def listed(build: Path) -> tuple[Listed, ...]:
    """Every run that is known, the newest first: the records, and what ninja's log alone knows of.

    Raises:
        UsageError: ninja's log is of a version that is not known.
    """
    found = [
        Listed(name=file.stem, begun=_begun(file.stem), load=partial(load, file))
        for file in records(build)
        if _is_begun(file)
    ]
    log = ninjalog.read(build)
    recorded = tuple(one.begun for one in found)
    for number, go in enumerate(ninjalog.goes(log) if log is not None else (), start=1):
        begun = go.begun + min(entry.start for entry in go.entries) / 1000
        if any(abs(begun - other) <= SAME_RUN for other in recorded):
            continue
        name = f"ninja-{name_of(begun)}" if go.begun else f"ninja-{number}"
        found.append(
            Listed(
                name=name, begun=begun if go.begun else 0.0,
                load=partial(from_ninja, go, build=str(build), name=name),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.begun, reverse=True))


def chosen(build: Path, wanted: str | None) -> Run:
    """A run of a build folder.

    Args:
        build: the folder.
        wanted: None for the newest, its number (1 is the newest), or a part of its name.

    Raises:
        UsageError: there is none, or none of that name.
    """
    known = listed(build)
    if not known:
        raise UsageError(
            f"{build} has no record of a run, and no {ninjalog.NAME}",
            fix="name a build folder in which something was compiled",
        )
    if wanted is None:
        return known[0].load()
    if wanted.isdecimal() and 0 < int(wanted) <= len(known):
        return known[int(wanted) - 1].load()
    number = wanted.isdecimal() and len(wanted) < DIGITS
    named = [] if number else [one for one in known if wanted in one.name]
    if len(named) != 1 or not wanted:
        names = ", ".join(f"{at} {one.name}" for at, one in enumerate(known, start=1))
        raise UsageError(f"{build} has no single run {wanted!r}; it has {names}", fix="name one of them")
    return named[0].load()


def load(file: Path) -> Run:
    """The run in a record.

    Raises:
        UsageError: the file cannot be read, or is no record of a version that is known.
    """
    try:
        lines = file.read_bytes().split(b"\n")
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", fix="name a record of a run") from error
    head = _value(lines[0])
    if head is None or head.get("event") != "stream_begun":
        raise UsageError(f"{file} is no record of a run", fix="name a file of a build's folder runs/")
    if head.get("schema") != stream.SCHEMA:
        raise UsageError(
            f"{file} is of schema {head.get('schema')}, read is {stream.SCHEMA}",
            fix="use the winvllm-build that wrote it, or build again",
        )
    reader = _Reader(begun=_number(head.get("at")))
    for content in lines[1:]:
        if content:
            reader.take(content)
    return reader.run(file)


def _value(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _is_begun(file: Path) -> bool:
    """Whether anything of a record reached the disk before the power went."""
    with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:  # another build tidies
        return opened.read(1) == b"{"
    return False


def _begun(name: str) -> float:
    try:
        moment = dt.datetime.strptime(f"{name[:16]}+0000", f"{FORMAT}%z")
    except ValueError:
        return 0.0
    return moment.timestamp()


@dataclass(slots=True)
class _Reader:
    """Puts a run together from its lines; a line that cannot be read is counted."""

    begun: float
    last: float = 0.0
    compile: Mapping[str, Any] = field(default_factory=dict)
    planned: dict[str, Cost] = field(default_factory=dict)
    records: list[EdgeRecord] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    samples: list[Moment] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)
    ending: Ending = Ending.CUT_OFF
    torn: int = 0

    def take(self, content: bytes) -> None:
        value = _value(content)
        if value is None:
            self.torn += 1
            return
        try:
            self._take(value)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            self.torn += 1

    def _take(self, value: Mapping[str, Any]) -> None:
        self.last = max(self.last, _number(value.get("at")))
        match value["event"]:
            case "compile_begun":
                planned = [stream.planned_of(one) for one in value["edges"]]
                self.planned = {one.edge.output: one.cost for one in planned}
                self.compile = value
            case "edge_started":
                self.running[value["edge"]["output"]] = float(value["at"])
            case "edge_ended":
                record = stream.record_of(value)
                self.records.append(record)
                self.running.pop(record.edge.output, None)
                self.last = max(self.last, record.ended)
            case "sample":
                used = sum(int(one) for one in value["used"].values())
                self.samples.append(
                    Moment(
                        at=float(value["at"]), used=used, budget=int(value["budget"]),
                        waiting=int(value["waiting"]),
                    )
                )  # fmt: skip
            case "step_done":
                self.steps[str(value["step"])] = float(value["seconds"])
            case "stream_ended":
                self.ending = Ending(value["outcome"])
            case _:
                pass  # of a later version

    def run(self, file: Path) -> Run:
        about = self.compile
        begun = _number(about.get("at")) or self.begun
        records = sorted(self.records, key=lambda record: record.ended)
        return Run(
            name=file.stem, origin=Origin.RECORD, ending=self.ending, tag=str(about.get("tag", "")),
            archs=tuple(map(str, about.get("archs", ()))), build=str(about.get("build", file.parent.parent)),
            begun=begun, ended=self._ended(records, begun), slots=int(_number(about.get("slots"))),
            budget=int(_number(about.get("budget"))), records=tuple(records), unended=dict(self.running),
            samples=tuple(self.samples), planned=self.planned, steps=self.steps, torn=self.torn,
        )  # fmt: skip

    def _ended(self, records: Sequence[EdgeRecord], begun: float) -> float:
        """Of the compile step: its last edge, or the last sign of life of a run that was cut off."""
        last = records[-1].ended if records else begun
        return max(last, self.last, begun) if self.ending is Ending.CUT_OFF and self.running else last
