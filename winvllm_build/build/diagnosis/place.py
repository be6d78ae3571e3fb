"""Where an error is: the file of the tree that it names, and the patch that touches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from winvllm_build.build.diagnosis.message import Message, Spot
from winvllm_build.git import RepoPath
from winvllm_build.patchset.diff import Hunk
from winvllm_build.patchset.patchset import Patch, PatchSet

NEAR: Final = 3
"""Lines beside a hunk that still count as its own."""
PARTS: Final = 2
"""Folders and name that must agree before a path of another machine is taken for a patched file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touching:
    """A patch of the file that an error is in.

    Attributes:
        tag: the set it is of.
        patch: its path below the set's folder.
        subject: its header's first line.
        hazards: the classes of hazard that its header names.
        hunk: why the hunk at that line is there; empty where no hunk covers it, or none says why.
        covers: whether a hunk covers the line.
    """

    tag: str
    patch: str
    subject: str
    hazards: tuple[str, ...]
    hunk: str
    covers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The first place of an error that is in the sources.

    Attributes:
        path: below the tree, or below the dependency's folder.
        line: 0 where none is said.
        patches: those that touch the file, the newest set first.
    """

    path: str
    line: int
    patches: tuple[Touching, ...]


def place_of(message: Message, *, tree: Path | None, sets: Sequence[PatchSet]) -> Place | None:
    """The nearest place of a message that is a file of the tree, or one that a set patches.

    Args:
        message: what was said.
        tree: the patched tree; None for a log of another machine.
        sets: the sets to look into, the most likely first.
    """
    spots = [*([message.spot] if message.spot else []), *message.chain]
    for spot in spots:
        path = _below(spot, tree)
        touching = tuple(_touching(spot, path, sets))
        if touching or path is not None:
            return Place(path=path or touching[0][0], line=spot.line, patches=tuple(t for _, t in touching))
    return None


def slashed(file: str) -> str:
    """A path with forward slashes; what stands before it in CMake's and nvcc's quotes is dropped."""
    return file.strip("\"'").replace("\\", "/")


def _below(spot: Spot, tree: Path | None) -> str | None:
    """The path below the tree, if the file is there."""
    if tree is None:
        return None
    file = Path(slashed(spot.file))
    if not file.is_absolute():
        return file.as_posix() if (tree / file).is_file() else None
    return file.relative_to(tree).as_posix() if file.is_relative_to(tree) else None


def _touching(spot: Spot, path: str | None, sets: Iterable[PatchSet]) -> Iterator[tuple[str, Touching]]:
    for patches in sets:
        found = _best(patches.patches, spot, path)
        if found is not None:
            yield found.path, _describe(patches, found, spot.line)


def _best(patches: Iterable[Patch], spot: Spot, path: str | None) -> Patch | None:
    """The patch whose file agrees with the spot in the most folders from its end."""
    named = PurePosixPath(slashed(spot.file)).parts
    scored = [
        (len(PurePosixPath(patch.path).parts), patch)
        for patch in patches
        if patch.path == path or (path is None and _agrees(patch.path, named))
    ]
    return max(scored, key=lambda pair: pair[0])[1] if scored else None


def _agrees(path: RepoPath, named: tuple[str, ...]) -> bool:
    parts = PurePosixPath(path).parts
    if parts == named:
        return True
    return len(parts) >= PARTS and named[-len(parts) :] == parts


def _describe(patches: PatchSet, patch: Patch, line: int) -> Touching:
    header = patch.content.header
    hunk = next((h for h in patch.content.diff.hunks if line and _covers(h, line)), None)
    notes = {note.hunk: note.why for note in header.notes}
    hazards = (header.get("Hazards") or "").replace(",", " ").split()
    return Touching(
        tag=patches.tag,
        patch=patch.file.relative_to(patches.folder).as_posix(),
        subject=header.subject,
        hazards=tuple(hazards),
        hunk="" if hunk is None else notes.get(hunk.id, ""),
        covers=hunk is not None,
    )


def _covers(hunk: Hunk, line: int) -> bool:
    """Whether a line is in the hunk as the patched file counts, or as the pristine one does."""
    return any(
        start - NEAR <= line <= start + count + NEAR
        for start, count in ((hunk.new_start, hunk.new_count), (hunk.old_start, hunk.old_count))
    )
