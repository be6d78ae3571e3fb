"""What upstream did to the files that a patch set changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from winvllm_build.git import Git
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.moves import Moves, numbers
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft


class Fate(Enum):
    """A patched file in the new tag."""

    SAME = "same"
    CHANGED = "changed"
    MOVED = "moved"
    GONE = "gone"
    TAKEN = "taken"
    """The patch adds a file, and upstream now has one of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedFile:
    """One patched file; `new` is its path in the new tag, `added` and `removed` are upstream's lines."""

    path: str
    layers: tuple[str, ...]
    fate: Fate
    new: str = ""
    similarity: int = 100
    added: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Two tags, and where files went between them."""

    old: Checkout
    new: Checkout
    moves: Moves


def compare(draft: Draft, sides: Sides, git: Git) -> tuple[PatchedFile, ...]:
    """Every file that the set's patches for vLLM change, by path."""
    layers: dict[str, tuple[str, ...]] = {}
    for patch in draft.patches:
        if patch.target == MAIN_TARGET:
            layers[str(patch.path)] = (*layers.get(str(patch.path), ()), patch.layer)
    moved = sides.moves.moved
    asked = [path for path in layers if path in sides.old.entries]
    asked += [moved[path].new for path in layers if path in moved]
    lines = numbers(git, sides.old.tree, sides.new.tree, asked)
    return tuple(_file(path, layers[path], sides, lines) for path in sorted(layers))


def _file(
    path: str, layers: tuple[str, ...], sides: Sides, lines: Mapping[str, tuple[int, int]]
) -> PatchedFile:
    fate, new, similarity = _fate(path, sides)
    added, removed = lines.get(new, (0, 0)) if fate in (Fate.CHANGED, Fate.MOVED) else (0, 0)
    return PatchedFile(
        path=path, layers=layers, fate=fate, new=new, similarity=similarity, added=added, removed=removed
    )


def _fate(path: str, sides: Sides) -> tuple[Fate, str, int]:
    """What became of it, its path in the new tag, and how similar it still is in per cent."""
    before, after = sides.old.entries.get(path), sides.new.entries.get(path)
    move = sides.moves.moved.get(path)
    if before is None:
        return (Fate.SAME if after is None else Fate.TAKEN), path, 100
    if move is not None:
        return Fate.MOVED, move.new, move.similarity
    if after is None:
        return Fate.GONE, "", 0
    return (Fate.SAME if after.oid == before.oid else Fate.CHANGED), path, 100
