"""Changes that a clean merge puts into another function, table or block than they were made in."""

from __future__ import annotations

import difflib
import re
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
    """Changed lines without others between them: the first with a word, and its line in the old file."""

    at: int
    line: bytes


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
        waiting = True
        for line in hunk.lines:
            mark = line[:1]
            if mark == b" ":
                waiting = True
            elif waiting and mark in (b"+", b"-") and WORD.search(line):
                yield _Run(at=at, line=line[1:])
                waiting = False
            at += mark in (b" ", b"-")


def _pairs(was: Sequence[_Run], now: Sequence[_Run]) -> Iterator[tuple[_Run, _Run]]:
    before, after = ([run.line for run in runs] for runs in (was, now))
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for one, other, size in matcher.get_matching_blocks():
        yield from zip(was[one : one + size], now[other : other + size], strict=True)


def _shown(names: Sequence[bytes]) -> str:
    return ".".join(name.decode("utf-8", "replace") for name in names) or "the top level"
