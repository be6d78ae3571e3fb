"""A merged file as git leaves it: what is settled, and regions where both sides changed the same lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.patchset.worktree import MARKER_SIZE

LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")
OURS, BASE, THEIRS, END = (mark * MARKER_SIZE for mark in (b"<", b"|", b"=", b">"))
ORDER: Final = (OURS, BASE, THEIRS, END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Lines of the old upstream (`base`), the new upstream (`ours`) and the patched file (`theirs`)."""

    base: tuple[bytes, ...]
    ours: tuple[bytes, ...]
    theirs: tuple[bytes, ...]


Part = tuple[bytes, ...] | Region
"""Settled lines, or a region."""


def read(content: bytes) -> list[Part]:
    """The parts of a file with conflict markers in the form of diff3, in their order.

    Raises:
        ValueError: the markers do not fit together; some may be lines of the file itself.
    """
    parts: list[Part] = []
    blocks: list[tuple[bytes, ...]] = []
    lines = LINE.findall(content)
    start = 0
    for at in [at for at, line in enumerate(lines) if line.startswith(ORDER)]:
        mark = marker(lines[at])
        if mark is None:
            continue
        if mark != ORDER[len(blocks)]:
            raise ValueError("the conflict markers do not fit together")
        blocks.append(tuple(lines[start:at]))
        start = at + 1
        if mark == END:
            before, ours, base, theirs = blocks
            parts += [before, Region(base=base, ours=ours, theirs=theirs)]
            blocks = []
    if blocks:
        raise ValueError("a conflict region has no end")
    return [*parts, tuple(lines[start:])]


def marker(line: bytes) -> bytes | None:
    """The mark that git wrote in this line: a label follows it, but for the one in the middle."""
    if not line.startswith(ORDER):
        return None
    mark = line[:MARKER_SIZE]
    rest = line[MARKER_SIZE:]
    return mark if (rest in (b"\n", b"\r\n") if mark == THEIRS else rest[:1] == b" ") else None


def has_markers(content: bytes) -> bool:
    """Whether a line of it could be taken for one of git's, which end with the file's last line too."""
    if not any(mark in content for mark in ORDER):
        return False
    return any(marker(line) for line in LINE.findall(content + b"\n"))


def settled(parts: Sequence[tuple[bytes, ...]]) -> bytes:
    return b"".join(line for part in parts for line in part)
