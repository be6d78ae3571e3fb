"""A merged file as git leaves it: what is settled, and regions where both sides changed the same lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.patchset.worktree import MARKER_SIZE

LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")
OURS, BASE, THEIRS, END = (mark * MARKER_SIZE for mark in (b"<", b"|", b"=", b">"))


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
        ValueError: the markers do not fit together.
    """
    parts: list[Part] = []
    open_sides: dict[bytes, list[bytes]] = {}
    lines: list[bytes] = []
    for line in LINE.findall(content):
        mark = line[:MARKER_SIZE]
        if mark == OURS and not open_sides:
            parts.append(tuple(lines))
            lines = open_sides[OURS] = []
        elif mark in (BASE, THEIRS) and open_sides and mark not in open_sides:
            lines = open_sides[mark] = []
        elif mark == END and set(open_sides) == {OURS, BASE, THEIRS}:
            parts.append(_region(open_sides))
            open_sides, lines = {}, []
        else:
            lines.append(line)
    if open_sides:
        raise ValueError("a conflict region has no end")
    parts.append(tuple(lines))
    return parts


def _region(sides: dict[bytes, list[bytes]]) -> Region:
    return Region(base=tuple(sides[BASE]), ours=tuple(sides[OURS]), theirs=tuple(sides[THEIRS]))


def settled(parts: Sequence[tuple[bytes, ...]]) -> bytes:
    return b"".join(line for part in parts for line in part)
