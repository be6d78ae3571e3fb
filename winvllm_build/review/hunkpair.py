"""Which hunk became which, and how their added and removed lines differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.patchset.diff import Hunk

ALIKE: Final = 0.5
"""Below half of their words in common, two hunks have nothing to do with each other."""
MOST_WORDS: Final = 3000
"""Longer hunks are compared by whole lines: difflib's time grows with the square."""
CONTEXT: Final = 3
WORD: Final = re.compile(rb"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedHunk:
    """A hunk of the old set and what it is in the new one.

    `lines` are their added and removed lines: a mark (`-` only in the old hunk, `+` only in the new, blank in
    both, `~` where lines of both are left out) and the line with its own sign.
    """

    old: Hunk
    new: Hunk
    lines: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Hunks without a namesake, as far as they could be paired."""

    changed: tuple[ChangedHunk, ...]
    gone: tuple[Hunk, ...]
    added: tuple[Hunk, ...]


def changes(hunk: Hunk) -> tuple[bytes, ...]:
    """Its added and removed lines."""
    return tuple(line for line in hunk.lines if line[:1] in (b"+", b"-"))


def pair(gone: Sequence[Hunk], added: Sequence[Hunk]) -> Pairing:
    """The likeliest pairs first; what is left on either side has none."""
    ranked = sorted(
        (
            (likeness(changes(old), changes(new)), -abs(at - to), -at, -to)
            for at, old in enumerate(gone)
            for to, new in enumerate(added)
        ),
        reverse=True,
    )
    left, right = dict(enumerate(gone)), dict(enumerate(added))
    pairs: list[tuple[int, ChangedHunk]] = []
    for ratio, _, minus_at, minus_to in ranked:
        at, to = -minus_at, -minus_to
        if ratio >= ALIKE and at in left and to in right:
            old, new = left.pop(at), right.pop(to)
            pairs.append((to, ChangedHunk(old=old, new=new, lines=difference(changes(old), changes(new)))))
    ordered = sorted(pairs, key=lambda found: found[0])
    return Pairing(
        changed=tuple(hunk for _, hunk in ordered), gone=tuple(left.values()), added=tuple(right.values())
    )


def likeness(old: Sequence[bytes], new: Sequence[bytes]) -> float:
    """How much of two lists of lines is the same, from 0 to 1: by words, in long lists by lines."""
    one, other = _words(old), _words(new)
    if max(len(one), len(other)) > MOST_WORDS:
        one, other = list(old), list(new)
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= ALIKE else 0.0


def difference(old: Sequence[bytes], new: Sequence[bytes]) -> tuple[tuple[str, bytes], ...]:
    """The lines of both with their marks; of lines they share only those near a difference."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    made: list[tuple[str, bytes]] = []
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number or group[0][1]:
            made.append(("~", b""))
        for kind, start, end, begin, stop in group:
            if kind == "equal":
                made += [(" ", line) for line in old[start:end]]
            else:
                made += [("-", line) for line in old[start:end]]
                made += [("+", line) for line in new[begin:stop]]
    return tuple(made)


def _words(lines: Sequence[bytes]) -> list[bytes]:
    """Each with the sign of its line, so that an added and a removed word are two."""
    return [line[:1] + word for line in lines for word in WORD.findall(line[1:])]
