"""Changes that touch but do not overlap: git calls them a conflict, though their order is plain."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.port.outline import width
from winvllm_build.port.regions import Region

TELLING: Final = re.compile(rb"\w{2}")
"""A line that can stand for a place; a blank line or a brace occurs anywhere."""
WORD: Final = re.compile(rb"\w+")
COMMENT: Final = re.compile(rb"\s*(?:#(?!\s*(?:if|el|endif|include|define|undef|pragma|error))|//|/\*|\*)")
"""A line of comment in any of the languages; a preprocessor's line is none."""
ALIKE: Final = 0.6
"""Part of equal characters above which a line is another version of a line."""
SHARED: Final = 0.5
"""Part of a line's words that the replaced lines have, above which it stands for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Base lines `start` to `end` (exclusive) become `lines`; an insertion has `start == end`."""

    start: int
    end: int
    old: tuple[bytes, ...]
    lines: tuple[bytes, ...]

    @property
    def inserts(self) -> bool:
        return self.start == self.end

    @property
    def deletes(self) -> bool:
        return not self.lines


def united(region: Region) -> tuple[bytes, ...] | None:
    """Both sides' changes, where their order is plain; else None.

    No base line may be changed by both, and both may not insert at one place, nor add the same line. Where
    the changes touch, what stands at the touching end has to be recognisable as what stood there: otherwise
    either side may have inserted there too, and nobody can tell which comes first. Nothing is inserted next
    to deleted lines, nor where equal lines leave it open which of them is new. All of it has to hold, and to
    give the same, however equal lines are paired.
    """
    answers = {
        _united(
            region.base,
            _edits(region.base, region.ours, flip=flip),
            _edits(region.base, region.theirs, flip=flip),
        )
        for flip in (False, True)
    }
    return answers.pop() if len(answers) == 1 else None


def _united(base: Sequence[bytes], ours: Sequence[Edit], every: Sequence[Edit]) -> tuple[bytes, ...] | None:
    theirs = [edit for edit in every if edit not in ours]
    if not all(_is_plain(edit, other) for edit in theirs for other in ours):
        return None
    if not all(_has_place(edit, base, ours) for edit in theirs):
        return None
    pairs = [(edit, other) for edit in theirs for other in ours]
    if any(_slides_into(*pair, base) or _slides_into(*pair[::-1], base) for pair in pairs):
        return None
    if _brought(theirs) & _brought(ours):
        return None
    made: list[bytes] = []
    at = 0
    for edit in sorted([*ours, *theirs], key=lambda e: (e.start, e.end)):
        made += [*base[at : edit.start], *edit.lines]
        at = max(at, edit.end)
    return (*made, *base[at:])


def _slides_into(edit: Edit, other: Edit, base: Sequence[bytes]) -> bool:
    """Whether `edit` could be where `other` is as well: what it inserts or deletes comes again there."""
    if not edit.inserts and not edit.deletes:
        return False
    around = [*base[: edit.start], *(edit.lines or edit.old), *base[edit.end :]]
    size = len(edit.lines or edit.old)
    first = last = edit.start
    while first > 0 and around[first - 1] == around[first - 1 + size]:
        first -= 1
    while last + size < len(around) and around[last] == around[last + size]:
        last += 1
    reach = last + (edit.end - edit.start)
    return first < last and other.start <= reach and other.end >= first


def _brought(edits: Sequence[Edit]) -> set[bytes]:
    """Lines that are new, as far as they have enough words to be the same thing where they are equal."""
    lines = {line.strip() for edit in edits for line in edit.lines if line not in edit.old}
    return {line for line in lines if len(WORD.findall(line)) > 1}


def _edits(base: Sequence[bytes], side: Sequence[bytes], *, flip: bool) -> list[Edit]:
    """The edits from `base` to `side`; equal lines paired from the first on, or from the last."""
    one, other = (base[::-1], side[::-1]) if flip else (base, side)
    found = []
    for tag, b0, b1, s0, s1 in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        start, end = (len(base) - b1, len(base) - b0) if flip else (b0, b1)
        first, last = (len(side) - s1, len(side) - s0) if flip else (s0, s1)
        found.append(Edit(start=start, end=end, old=tuple(base[start:end]), lines=tuple(side[first:last])))
    return found


def _is_plain(one: Edit, other: Edit) -> bool:
    """Whether two sides' edits do not overlap and come in one order only."""
    if one.start == other.start and one.inserts and other.inserts:
        return False
    before, after = (one, other) if (one.start, one.end) <= (other.start, other.end) else (other, one)
    if before.end != after.start:
        return before.end < after.start
    stand = _stands(before, -1), _stands(after, 0)
    if before.inserts or before.deletes:
        return stand[1]
    if after.inserts or after.deletes:
        return stand[0]
    return any(stand)


def _stands(edit: Edit, end: int) -> bool:
    """Whether the first (0) or last (-1) new line is a version of what it replaces, not something new."""
    old, new = ([line for line in lines if not _is_blank(line)] for lines in (edit.old, edit.lines))
    if edit.inserts or edit.deletes:
        return False
    if not new or not old:
        return not new
    if _wraps(old, new):
        return width(new[1] if end == 0 else new[end]) > width(new[0])
    if difflib.SequenceMatcher(None, old[end].strip(), new[end].strip(), autojunk=False).ratio() >= ALIKE:
        return True
    known = set(WORD.findall(b"".join(old)))
    words = set(WORD.findall(new[end]))
    return bool(words) and len(words & known) >= SHARED * len(words)


def _wraps(old: Sequence[bytes], new: Sequence[bytes]) -> bool:
    """Whether the old lines are all among the new ones, indented by a block around them."""
    inner = {line.strip(): width(line) for line in new[1:]}
    return len(new) > len(old) and all(inner.get(line.strip(), 0) > width(line) for line in old)


def _is_blank(line: bytes) -> bool:
    return not WORD.search(line) or COMMENT.match(line) is not None


def _has_place(edit: Edit, base: Sequence[bytes], ours: Sequence[Edit]) -> bool:
    """A telling line that it replaces, or next to which it is inserted."""
    if not edit.inserts:
        return any(TELLING.search(line) for line in edit.old)
    sides = [at for at in (edit.start - 1, edit.start) if not _is_changed(at, ours)]
    return any(not 0 <= at < len(base) or TELLING.search(base[at]) for at in sides)


def _is_changed(at: int, ours: Sequence[Edit]) -> bool:
    return any(edit.start <= at < edit.end for edit in ours)
