"""Conflicts that have one answer: import lines, markers of requirements, changes that only touch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset.merge import BASE, OURS, THEIRS, Conflict, Merge
from winvllm_build.patchset.tree import Blobs, write_blobs
from winvllm_build.port import adjacent, import_lines, regions, requirement_lines
from winvllm_build.port.doubles import elsewhere
from winvllm_build.port.import_lines import is_python
from winvllm_build.port.regions import Region

CONTENTS: Final = ("contents",)
"""git's name of a conflict between lines; no other kind has one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A file without conflicts: `how` says for each way how many regions it settled."""

    path: RepoPath
    mode: str
    oid: Oid
    how: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One kind of region with one answer.

    Attributes:
        words: what it is.
        unite: the answer for a region; None where this is not one of its kind.
        paths: the files it is for.
        in_place: it is none where upstream moved lines of the region.
    """

    words: str
    unite: Callable[[Region], tuple[bytes, ...] | None]
    paths: re.Pattern[str] = re.compile("")
    in_place: bool = False


WAYS: Final = (
    _Way(
        words="import lines that both sides added",
        unite=import_lines.united,
        paths=re.compile(r"\.pyi?$"),
    ),
    _Way(
        words="a version of upstream's with a marker of the patch",
        unite=requirement_lines.united,
        paths=re.compile(r"(^|/|[-_.])(requirements|constraints)\b.*\.(txt|in)$"),
    ),
    _Way(words="changes that touch but do not overlap", unite=adjacent.united, in_place=True),
)


def resolutions(
    git: Git, merge: Merge, marked: Mapping[RepoPath, Oid], blobs: Blobs
) -> dict[RepoPath, Resolution]:
    """The conflicts of `merge` all of whose regions have one answer; their blobs are written.

    Args:
        git: a scratch repository.
        merge: git's.
        marked: the files in conflict as git left them.
        blobs: of that repository.
    """
    wanted = {path: merge.conflicts[path] for path in marked if _is_between_lines(merge.conflicts[path])}
    ids = [stage.oid for found in wanted.values() for stage in found.stages.values()]
    read = blobs.of([*marked.values(), *ids])
    answers: dict[RepoPath, tuple[bytes, tuple[str, ...]]] = {}
    for path, found in wanted.items():
        sides = [read[found.stages[side].oid] for side in (BASE, OURS, THEIRS)]
        answer = _settle(path, read[marked[path]], sides)
        if answer is not None and _is_sound(path, answer[0], sides):
            answers[path] = answer
    written = write_blobs(git, [content for content, _ in answers.values()])
    return {
        path: Resolution(path=path, mode=wanted[path].stages[OURS].mode, oid=oid, how=how)
        for (path, (_, how)), oid in zip(answers.items(), written, strict=True)
    }


def _is_between_lines(found: Conflict) -> bool:
    sides = found.stages
    whole = set(sides) == {BASE, OURS, THEIRS} and len({side.mode for side in sides.values()}) == 1
    return found.kinds == CONTENTS and whole


def _settle(path: RepoPath, content: bytes, sides: Sequence[bytes]) -> tuple[bytes, tuple[str, ...]] | None:
    """The content of a file whose regions all have an answer, and how often each way gave one.

    Args:
        path: the file.
        content: as git left it, with markers.
        sides: the old upstream, the new upstream, the patched file.
    """
    if any(regions.has_markers(side) for side in sides):
        return None
    counts: dict[str, int] = {}
    made: list[tuple[bytes, ...]] = []
    try:
        parts = regions.read(content)
    except ValueError:
        return None
    for part in parts:
        if not isinstance(part, Region):
            made.append(part)
            continue
        answer = _answer(path, part, sides)
        if answer is None:
            return None
        lines, words = answer
        counts[words] = counts.get(words, 0) + 1
        made.append(lines)
    settled = regions.settled(made)
    text = settled if parts[-1] else _with_end(settled, sides)
    return (text, _words(counts)) if text is not None and counts else None


def _with_end(text: bytes, sides: Sequence[bytes]) -> bytes | None:
    """`text` with the end that all sides have: git ends a region's last line even where the file does not."""
    if all(side.endswith(b"\n") for side in sides):
        return text
    if any(side.endswith((b"\n", b"\r")) or not side for side in sides):
        return None
    return text.removesuffix(b"\n").removesuffix(b"\r")


def _answer(path: RepoPath, region: Region, sides: Sequence[bytes]) -> tuple[tuple[bytes, ...], str] | None:
    for way in WAYS:
        if way.paths.search(path) and not (way.in_place and _is_moved(region, sides)):
            lines = way.unite(region)
            if lines is not None:
                return lines, way.words
    return None


def _is_moved(region: Region, sides: Sequence[bytes]) -> bool:
    """Whether upstream moved lines out of the region or into it: what was beside them may belong there."""
    old, new = ({line.strip() for line in lines} for lines in (region.base, region.ours))
    out = elsewhere(old - new, old=sides[0], new=sides[1])
    return bool(out or elsewhere(new - old, old=sides[1], new=sides[0]))


def _is_sound(path: RepoPath, content: bytes, sides: Sequence[bytes]) -> bool:
    """Python that was Python on every side has to be Python, and lose no import of either change.

    Args:
        path: the file.
        content: what is proposed for it.
        sides: the old upstream, the new upstream, the patched file.
    """
    if not path.endswith((".py", ".pyi")):
        return True
    if not is_python(content):
        return not all(is_python(side) for side in sides)
    base, ours, theirs, made = (import_lines.imports_of(text) for text in (*sides, content))
    return made >= (theirs - base) | (ours - (base - theirs))


def _words(counts: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(
        f"{words}: {count} {'region' if count == 1 else 'regions'}" for words, count in counts.items()
    )
