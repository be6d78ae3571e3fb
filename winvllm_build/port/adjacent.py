"""Changes that touch but do not overlap: git calls them a conflict, though their order is plain."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.port.regions import Region

TELLING: Final = re.compile(rb"\w{2}")
"""A line that can stand for a place; a blank line or a brace occurs anywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Base lines `start` to `end` (exclusive) become `lines`; an insertion has `start == end`."""

    start: int
    end: int
    lines: tuple[bytes, ...]


def united(region: Region) -> tuple[bytes, ...] | None:
    """Both sides' changes, where each of the patch's has a place that upstream left alone; else None.

    A change of the patch that replaces or deletes lines needs those lines untouched by upstream. An
    insertion needs one telling neighbour line untouched, and the other at least replaced, not deleted.
    """
    ours = _edits(region.base, region.ours)
    theirs = [edit for edit in _edits(region.base, region.theirs) if edit not in ours]
    for edit in theirs:
        if any(_collide(edit, other) for other in ours) or not _anchored(edit, ours, region.base):
            return None
    made: list[bytes] = []
    at = 0
    for edit in sorted([*ours, *theirs], key=lambda e: (e.start, e.end)):
        made += [*region.base[at : edit.start], *edit.lines]
        at = max(at, edit.end)
    return (*made, *region.base[at:])


def _edits(base: Sequence[bytes], side: Sequence[bytes]) -> list[Edit]:
    matcher = difflib.SequenceMatcher(None, base, side, autojunk=False)
    return [
        Edit(start=b0, end=b1, lines=tuple(side[s0:s1]))
        for tag, b0, b1, s0, s1 in matcher.get_opcodes()
        if tag != "equal"
    ]


def _collide(one: Edit, other: Edit) -> bool:
    """Whether they change the same lines, or insert at the same place."""
    if one.start == one.end and other.start == other.end:
        return one.start == other.start
    if one.start == one.end:
        return other.start < one.start < other.end
    if other.start == other.end:
        return one.start < other.start < one.end
    return max(one.start, other.start) < min(one.end, other.end)


def _anchored(edit: Edit, ours: Sequence[Edit], base: Sequence[bytes]) -> bool:
    if edit.start < edit.end:
        return any(TELLING.search(line) for line in base[edit.start : edit.end])
    sides = [_fate(at, ours, base) for at in (edit.start - 1, edit.start)]
    return "kept" in sides and "deleted" not in sides


def _fate(at: int, ours: Sequence[Edit], base: Sequence[bytes]) -> str:
    """What upstream did to a base line; beyond the region both sides agree."""
    if not 0 <= at < len(base):
        return "kept"
    touched = next((edit for edit in ours if edit.start <= at < edit.end), None)
    if touched is None:
        return "kept" if TELLING.search(base[at]) else "trivial"
    return "replaced" if touched.lines else "deleted"
