"""Ninja's own log (`.ninja_log`, versions 5 to 7): what ran when, for builds that nobody watched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.errors import UsageError

NAME: Final = ".ninja_log"
HEAD: Final = re.compile(rb"# ninja log v(\d{1,9})\r?")
OLDEST: Final = 5
NEWEST: Final = 7
FIELDS: Final = 5
NUMBER: Final = re.compile(rb"-?[0-9]{1,19}")
HASH: Final = re.compile(rb"[0-9a-f]{1,16}")
SAME_GO: Final = 2.0
"""Seconds by which the beginnings reckoned from the entries of one run of ninja differ at most."""
SECONDS_BELOW: Final = 10**11
"""Old logs write a file's time in whole seconds."""
TICKS_BELOW: Final = 10**17
"""On Windows it is in 100 ns since the year 2001; everywhere else in nanoseconds since 1970."""
WINDOWS_EPOCH: Final = 12622770400 - 11644473600
"""Seconds from 1970 to the moment that ninja counts from on Windows (`disk_interface.cc`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One finished edge.

    Attributes:
        start: milliseconds from the beginning of its run of ninja.
        end: milliseconds, likewise.
        stamp: a file's time as the log has it; of the output, since 1.12 of the moment the edge began.
        output: as the log spells it; bytes that are no UTF-8 are kept as surrogates.
        command: digest of the command, in hexadecimal digits.
    """

    start: int
    end: int
    stamp: int
    output: str
    command: str

    @property
    def seconds(self) -> float:
        return max(self.end - self.start, 0) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """What one run of ninja finished, in the order of its ends.

    Attributes:
        begun: seconds since the epoch; 0 where the log does not tell.
        entries: its edges.
    """

    begun: float
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log.

    Attributes:
        version: of its format.
        entries: in the file's order; of an edge with several outputs each output has one.
        torn: lines that were not whole; a killed ninja leaves one at the end.
    """

    version: int
    entries: tuple[Entry, ...]
    torn: int


def read(build: Path) -> Log | None:
    """The log of a build folder; None without one.

    Raises:
        UsageError: it is no log of ninja's, or of a version that is not known.
    """
    try:
        content = (build / NAME).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return parse(content, where=str(build / NAME))


def parse(content: bytes, *, where: str = NAME) -> Log:
    """Read a log; a line that is not whole is counted and left out, wherever it stands.

    Raises:
        UsageError: see `read`.
    """
    head, *lines = content.split(b"\n")
    match = HEAD.fullmatch(head)
    version = int(match[1]) if match else 0
    if not OLDEST <= version <= NEWEST:
        said = f"version {version}" if match else "not a log of ninja's"
        raise UsageError(
            f"{where}: {said}; versions {OLDEST} to {NEWEST} are read", fix="build with ninja 1.5 or later"
        )
    *whole, tail = lines or [b""]  # what follows the last line end was cut off while it was written
    found = [_entry(line) for line in whole if line and not HEAD.fullmatch(line)]
    entries = tuple(entry for entry in found if entry is not None)
    return Log(version=version, entries=entries, torn=len(found) - len(entries) + bool(tail))


def _entry(line: bytes) -> Entry | None:
    fields = line.removesuffix(b"\r").split(b"\t")
    if len(fields) != FIELDS:
        return None
    *numbers, output, command = fields
    if not (output and all(map(NUMBER.fullmatch, numbers)) and HASH.fullmatch(command)):
        return None
    start, end, stamp = map(int, numbers)
    return Entry(
        start=start, end=end, stamp=stamp, output=output.decode("utf-8", "surrogateescape"),
        command=command.decode("ascii"),
    )  # fmt: skip


def goes(log: Log) -> tuple[Go, ...]:
    """The runs of ninja that a log was written by, the oldest first.

    Times of a run begin at 0 in each; which entries belong together is told by the moment that each says
    its run began at. Where files have no usable times, a run begins where the ends no longer ascend, which is
    so until ninja rewrites the log.
    """
    entries = _one_of_each(log.entries)
    if not entries:
        return ()
    if all(entry.stamp > 0 for entry in entries):
        from_start = _by_beginning(entries, [epoch(e.stamp) - e.start / 1000 for e in entries])
        from_end = _by_beginning(entries, [epoch(e.stamp) - e.end / 1000 for e in entries])
        return min(from_start, from_end, key=len)
    return tuple(_by_order(entries))


def epoch(stamp: int) -> float:
    """A file's time as a log has it, in seconds since 1970."""
    if stamp < SECONDS_BELOW:
        return float(stamp)
    if stamp < TICKS_BELOW:
        return stamp / 1e7 + WINDOWS_EPOCH
    return stamp / 1e9


def _one_of_each(entries: Iterable[Entry]) -> list[Entry]:
    """One entry for an edge with several outputs: they have times and command in common."""
    found: dict[tuple[int, int, str], Entry] = {}
    for entry in entries:
        found.setdefault((entry.start, entry.end, entry.command), entry)
    return list(found.values())


def _by_beginning(entries: Sequence[Entry], beginnings: Sequence[float]) -> tuple[Go, ...]:
    groups: list[tuple[float, list[Entry]]] = []
    for beginning, entry in sorted(zip(beginnings, entries, strict=True), key=lambda pair: pair[0]):
        if groups and beginning - groups[-1][0] <= SAME_GO:
            groups[-1][1].append(entry)
        else:
            groups.append((beginning, [entry]))
    return tuple(_go(beginning, group) for beginning, group in groups)


def _by_order(entries: Sequence[Entry]) -> Iterator[Go]:
    group: list[Entry] = []
    for entry in entries:
        if group and entry.end < group[-1].end:
            yield _go(0.0, group)
            group = []
        group.append(entry)
    yield _go(0.0, group)


def _go(begun: float, entries: Sequence[Entry]) -> Go:
    return Go(begun=begun, entries=tuple(sorted(entries, key=lambda entry: (entry.end, entry.start))))
