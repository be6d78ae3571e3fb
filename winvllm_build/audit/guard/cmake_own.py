"""Branches of CMake that no build of upstream gets to: where it stops, and behind a patch's own variables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from winvllm_build.audit.files import Files
from winvllm_build.audit.guard.judgement import Confirmed, Ground
from winvllm_build.intake.cmake_text import Command

OWN: Final = re.compile(r"(VLLM)?_[A-Z0-9_]+")
"""CMake and its modules define no such variable for others."""
SPEAKERS: Final = (".cmake", "CMakeLists.txt", "setup.py")
"""Files that set variables of CMake."""
CONDITIONS: Final = ("if", "elseif")


def without_stops(
    before: Sequence[Command], after: Sequence[Command]
) -> tuple[list[Command], list[Command], list[Confirmed]]:
    """Both versions without the bodies of conditionals in which upstream ends with FATAL_ERROR.

    Nothing is built with upstream's file there, so no build sees what a patch does instead.
    """
    sides = (list(before), list(after))
    bodies = [_bodies(side) for side in sides]
    counts = [Counter(words for words, _, _ in found) for found in bodies]
    going_on = {words for words, begun, end in bodies[0] if not _stops(sides[0][begun:end])}
    stops = {words for words in counts[0] if words not in going_on and counts[0][words] == counts[1][words]}
    left: list[list[Command]] = []
    gone: list[list[tuple[str, ...]]] = []
    for side, found in zip(sides, bodies, strict=True):
        inside = {at for words, begun, end in found if words in stops for at in range(begun, end)}
        left.append([one for at, one in enumerate(side) if at not in inside])
        gone.append([(side[at].name, *side[at].words) for at in sorted(inside)])
    if gone[0] == gone[1]:
        return *sides, []
    return left[0], left[1], [Confirmed(ground=Ground.STOPS)]


def unset(found: Sequence[Command], path: str, old: Files, new: Files) -> list[str]:
    """Variables in conditions that upstream does not know and nothing sets: they are false.

    Args:
        found: what is left of a file.
        path: the file.
        old: the tree without the patch.
        new: the tree with it.
    """
    asked = {word for one in found if one.name in CONDITIONS for word in one.words if OWN.fullmatch(word)}
    said = [word for one in found if one.name not in CONDITIONS for word in one.words]
    names = [name for name in sorted(asked) if not any(_writes(word, name) for word in said)]
    return [name for name in names if not _mentions(old, name) and not _mentions(new, name, but=path)]


def is_asked(found: Sequence[Command], name: str) -> bool:
    """Whether a condition is left that names the variable, such as a comparison."""
    return any(name in one.words for one in found if one.name in CONDITIONS)


def _bodies(found: Sequence[Command]) -> list[tuple[str, int, int]]:
    """The outermost conditionals without another branch: condition, begin and end of the body."""
    return [span for span in _spans(found) if span[0]]


def _spans(found: Sequence[Command]) -> Iterator[tuple[str, int, int]]:
    depth, begun, plain = 0, 0, True
    for at, one in enumerate(found):
        if one.name == "if":
            depth += 1
            if depth == 1:
                begun, plain = at, True
        elif one.name in ("elseif", "else"):
            plain = plain and depth > 1
        elif one.name == "endif":
            depth -= 1
            if depth == 0:
                yield " ".join(found[begun].words) if plain else "", begun + 1, at


def _stops(body: Sequence[Command]) -> bool:
    depth = 0
    for one in body:
        depth += (one.name == "if") - (one.name == "endif")
        if depth == 0 and one.name == "message" and one.words[:1] == ("FATAL_ERROR",):
            return True
    return False


def _writes(word: str, name: str) -> bool:
    """Whether a word may be the name of the variable, and not only its value."""
    return name in word.replace(f"${{{name}}}", "")


def _mentions(tree: Files, name: str, *, but: str = "") -> bool:
    names = [one for one in tree.names if one.endswith(SPEAKERS) and one != but]
    tree.fetch(names)
    return any(name.encode() in (tree.content(one) or b"") for one in names)
