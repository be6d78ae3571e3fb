"""Changes that a clean merge puts into another function, table or block than they were made in."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.patchset.diff import Diff
from winvllm_build.port import outline
from winvllm_build.port.outline import Outline

WORD: Final = re.compile(rb"\w")
"""A brace or a blank line does not say where it belongs."""
ALIKE: Final = 0.75
"""Part of equal lines above which a place with another name is the same one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Changed lines with words, without others between them, and where the first is in the old file."""

    at: int
    lines: tuple[bytes, ...]

    @property
    def line(self) -> bytes:
        return self.lines[0][1:]


def strayed(was: Diff, now: Diff, *, old: bytes, new: bytes) -> tuple[tuple[str, str], ...]:
    """Where the patch stood and where the carried one stands, for changes that are in another place now.

    A place that upstream renamed is not another one: its old name is gone, its new one was not there, and
    what is in it stayed much the same.

    Args:
        was: the patch.
        now: the patch as carried.
        old: upstream's file before.
        new: upstream's file now.
    """
    language = outline.language_of(was.path)
    if language is None:
        return ()
    before, after = Outline.of(old, language), Outline.of(new, language)
    found: dict[tuple[str, str], None] = {}
    for one, other in _pairs(list(_runs(was)), list(_runs(now))):
        left, right = before.places(one.at, one.line), after.places(other.at, other.line)
        if left != right and not _is_renamed(before, after, left, right):
            found[_shown(left), _shown(right)] = None
    return tuple(found)


def unfinished(was: Diff, now: Diff | None, *, old: bytes, new: bytes) -> tuple[str, ...]:
    """Places that are gone or as they were, though nothing is left to change there in the carried patch.

    Args:
        was: the patch.
        now: the patch as carried; None where nothing of it is left.
        old: upstream's file before.
        new: upstream's file now.
    """
    language = outline.language_of(was.path)
    if language is None or (now is not None and now.change_id == was.change_id):
        return ()
    before, after = Outline.of(old, language), Outline.of(new, language)
    found: dict[str, None] = {}
    for run, lost in _lost(list(_runs(was)), list(_runs(now)) if now is not None else []):
        places = before.places(run.at, run.line)
        if places and lost:
            counts = [Counter(file.body(places[-1])) for file in (before, after)]
            if places[-1] not in after.names or not all(_is_done(line, *counts) for line in lost):
                found[_shown(places)] = None
    return tuple(found)


def _is_done(line: bytes, before: Counter[bytes], after: Counter[bytes]) -> bool:
    """Whether upstream has removed or added that line."""
    text = line[1:].strip()
    return after[text] < before[text] if line[:1] == b"-" else after[text] > before[text]


def _lost(was: Sequence[_Run], now: Sequence[_Run]) -> Iterator[tuple[_Run, Counter[bytes]]]:
    """Changed lines of the patch that are no longer among those of the carried one."""
    partners = dict(_pairs(was, now))
    known = set(partners.values())
    rest = Counter(line for run in now if run not in known for line in run.lines)
    for run in was:
        partner = partners.get(run)
        yield run, Counter(run.lines) - (rest if partner is None else Counter(partner.lines))


def _is_renamed(before: Outline, after: Outline, left: Sequence[bytes], right: Sequence[bytes]) -> bool:
    """Whether each place that is gone is alike one that is new, and no other that is gone or new is."""
    lost = [name for name in left if name not in right]
    gained = [name for name in right if name not in left]
    gone, new = before.names - after.names, after.names - before.names
    if len(lost) > len(gained) or not gone.issuperset(lost) or not new.issuperset(gained):
        return False
    return all(
        [name for name in gone if _is_alike(before.body(name), after.body(other))] == [one]
        and [name for name in new if _is_alike(before.body(one), after.body(name))] == [other]
        for one, other in zip(lost, gained, strict=False)
    )


def _is_alike(one: Sequence[bytes], other: Sequence[bytes]) -> bool:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio() >= ALIKE


def _runs(diff: Diff) -> Iterator[_Run]:
    for hunk in diff.hunks:
        at = hunk.old_start + (hunk.old_count == 0)
        first, lines = at, list[bytes]()
        for line in (*hunk.lines, b" "):
            if line[:1] in (b"+", b"-"):
                if WORD.search(line):
                    first = first if lines else at
                    lines.append(line)
            elif lines:
                yield _Run(at=first, lines=tuple(lines))
                lines = []
            at += line[:1] in (b" ", b"-")


def _pairs(was: Sequence[_Run], now: Sequence[_Run]) -> Iterator[tuple[_Run, _Run]]:
    before, after = ([run.line for run in runs] for runs in (was, now))
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for one, other, size in matcher.get_matching_blocks():
        yield from zip(was[one : one + size], now[other : other + size], strict=True)


def _shown(names: Sequence[bytes]) -> str:
    return ".".join(name.decode("utf-8", "replace") for name in names) or "the top level"
