"""Hunks of anyone's patch: read by their counts, or, where these do not fit, by what the lines look like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.patchset.diff import NO_NEWLINE, Hunk

RANGE: Final = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
SIGNATURE: Final = b"-- "
MOST_BLANK: Final = 3
"""Lines of context below a change."""
SIDES: Final = {b" ": (1, 1), b"-": (1, 0), b"+": (0, 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One hunk as it was read.

    Attributes:
        hunk: None where it changes nothing.
        end: the index of the first line after it.
        recounted: its counts were wrong.
        empty_sides: whether it has no lines before, and none after.
        fault: why it cannot be used.
    """

    hunk: Hunk | None
    end: int
    recounted: bool
    empty_sides: tuple[bool, bool]
    fault: str = ""


def read_hunk(lines: Sequence[bytes], at: int) -> Body:
    """The hunk whose `@@` line is `lines[at]`; a trailing CR belongs to a line."""
    match = RANGE.match(lines[at])
    if match is None:
        return Body(hunk=None, end=at + 1, recounted=False, empty_sides=(False, False), fault="no hunk")
    old_start, new_start = int(match[1]), int(match[3])
    wanted = tuple(1 if count is None else int(count) for count in (match[2], match[4]))
    end = _by_counts(lines, at + 1, *wanted)
    recounted, fault = end is None, ""
    if end is None:
        end = _by_looks(lines, at + 1)
    body = [_line(line) for line in lines[at + 1 : end]]
    if recounted and end == len(lines):
        fault = _completed(body, wanted, at)
    old, new = counted(body)
    changes = any(line[:1] in (b"+", b"-") for line in body)
    hunk = Hunk(
        line=at + 1, old_start=old_start, old_count=old, new_start=new_start, new_count=new, lines=tuple(body)
    )
    return Body(
        hunk=hunk if changes else None, end=end, recounted=recounted, empty_sides=(old == 0, new == 0),
        fault=fault,
    )  # fmt: skip


def counted(lines: Sequence[bytes]) -> tuple[int, int]:
    """How many lines before and after the lines of a hunk stand for."""
    steps = [SIDES.get(line[:1], (0, 0)) for line in lines]
    return sum(old for old, _ in steps), sum(new for _, new in steps)


def _completed(body: list[bytes], wanted: tuple[int, ...], at: int) -> str:
    """Give the last hunk the blank lines that editors cut off; a fault where others are missing."""
    old, new = counted(body)
    missing = wanted[0] - old
    if 0 < missing <= MOST_BLANK and missing == wanted[1] - new:
        body += [b" "] * missing
    elif old < wanted[0] or new < wanted[1]:
        return f"the hunk of line {at + 1} is shorter than it says: the patch is cut off there"
    return ""


def _by_counts(lines: Sequence[bytes], at: int, old: int, new: int) -> int | None:
    """Where the hunk ends that its counts promise; None where the lines do not keep the promise."""
    while old > 0 or new > 0:
        kind = _kind(lines, at)
        if kind is None:
            return None
        step = SIDES.get(kind, (0, 0))
        old, new = old - step[0], new - step[1]
        at += 1
    if old < 0 or new < 0:
        return None
    while _kind(lines, at) == b"\\":
        at += 1
    return None if _goes_on(lines, at) else at


def _by_looks(lines: Sequence[bytes], at: int) -> int:
    """The end by what the lines are: up to the next hunk, file, signature, or anything else."""
    first = at
    while _kind(lines, at) is not None and not _starts_file(lines, at) and not _signs(lines, at):
        at += 1
    while at > first and lines[at - 1].rstrip(b"\r") == b"":
        at -= 1
    return at


def _kind(lines: Sequence[bytes], at: int) -> bytes | None:
    """The sign of a line of a hunk; an empty one is context whose blank an editor removed."""
    if at >= len(lines):
        return None
    sign = lines[at][:1]
    if lines[at].rstrip(b"\r") == b"":
        return b" "
    return sign if sign in (b" ", b"+", b"-", b"\\") else None


def _goes_on(lines: Sequence[bytes], at: int) -> bool:
    """Whether more lines of a hunk follow than its counts say."""
    more = at < len(lines) and lines[at][:1] in (b" ", b"+", b"-")
    return more and not _starts_file(lines, at) and not _signs(lines, at)


def _starts_file(lines: Sequence[bytes], at: int) -> bool:
    """`---` and `+++` with a hunk after them; a removed and an added line look like the first two."""
    some = [*lines[at : at + 3], b"", b"", b""]
    return some[0].startswith(b"--- ") and some[1].startswith(b"+++ ") and RANGE.match(some[2]) is not None


def _signs(lines: Sequence[bytes], at: int) -> bool:
    """The end of a mail: `-- `, then at most one line of text."""
    below = lines[at + 2 : at + 3]
    return lines[at].rstrip(b"\r") == SIGNATURE and not any(line.rstrip(b"\r") for line in below)


def _line(line: bytes) -> bytes:
    if line.rstrip(b"\r") == b"":
        return b" " + line
    return NO_NEWLINE if line[:1] == b"\\" else line
