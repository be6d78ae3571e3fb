"""Which patches are meant: of which set, and which of its files."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from winvllm_build.errors import UsageError
from winvllm_build.patchset import advice, manifest, patchset
from winvllm_build.patchset.header import Header
from winvllm_build.patchset.patchfile import SUFFIX
from winvllm_build.patchset.patchset import Draft, Patch
from winvllm_build.suggest import did_you_mean

GLOB: Final = frozenset("*?[")
TAG: Final = re.compile(r"v\d+(\.\d+)+\S*")
"""What is meant as a tag even where there is no such set: its message names the sets there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What narrows the patches of a set; an empty group narrows nothing, a group is an or."""

    layers: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()

    def takes(self, patch: Patch) -> bool:
        header = patch.content.header
        return (
            (not self.layers or patch.layer in self.layers)
            and (not self.targets or patch.target in self.targets)
            and (not self.topics or not set(self.topics).isdisjoint(listed(header, "Topic")))
            and (not self.hazards or not set(self.hazards).isdisjoint(listed(header, "Hazards")))
        )


def listed(header: Header, field: str) -> list[str]:
    """The words of a field that holds several, such as `Topic` and `Hazards`."""
    return (header.get(field) or "").replace(",", " ").split()


def read_set(root: Path, word: str) -> Draft:
    """The patch set `word` names: a tag of `root`, or `FOLDER/TAG`.

    Raises:
        PatchError: there is none, or a file of it is malformed.
    """
    folder, tag = os.path.split(word.rstrip("/\\"))
    return patchset.read(Path(folder).absolute() if folder else root, tag, lenient=True)


def narrowed(draft: Draft, wanted: Wanted) -> tuple[Patch, ...]:
    """The patches that `wanted` lets through.

    Raises:
        UsageError: a name that the set does not know.
    """
    headers = [patch.content.header for patch in draft.patches]
    topics = {topic.name for topic in draft.manifest.topics}
    _require("layer", wanted.layers, {layer.name for layer in draft.manifest.layers})
    _require("target", wanted.targets, draft.targets)
    _require("topic", wanted.topics, topics.union(*(listed(header, "Topic") for header in headers)))
    _require("hazard", wanted.hazards, set().union(*(listed(header, "Hazards") for header in headers)))
    return tuple(patch for patch in draft.patches if wanted.takes(patch))


def matching(patches: Sequence[Patch], word: str, *, folder: Path) -> tuple[Patch, ...]:
    """The patches a word stands for: a path, the end of one, a glob, or the patch file itself.

    Args:
        patches: to choose from.
        word: what was written.
        folder: of the set, for the paths of patch files.

    Raises:
        UsageError: it stands for none of them.
    """
    plain = word.replace("\\", "/").removeprefix("./")
    ways = (
        [p for p in patches if p.path == plain],
        [p for p in patches if p.path.endswith(f"/{plain}")],
        [p for p in patches if _is_file(p, word, plain, folder)],
        [p for p in patches if GLOB & set(plain) and _fits(p.path, plain)],
    )
    found = next((way for way in ways if way), None)
    if found is None:
        names = {p.path for p in patches} | {PurePosixPath(p.path).name for p in patches}
        raise UsageError(
            f"no patch of {folder.name} is of {word!r}{did_you_mean(plain, names)}",
            fix=f"{advice.command('show', folder.name, root=folder.parent)} lists them all",
        )
    return tuple(found)


def names_set(root: Path, word: str) -> bool:
    """Whether the first word of a command names a set rather than a file of one.

    Args:
        root: the folder of patch sets.
        word: a tag, `FOLDER/TAG`, or the path of a patched file.
    """
    folder, tag = os.path.split(word.rstrip("/\\"))
    known = (Path(folder) if folder else root) / tag / manifest.FILE
    return known.is_file() or TAG.fullmatch(word) is not None


def _fits(path: str, glob: str) -> bool:
    return fnmatch.fnmatchcase(path, glob) or fnmatch.fnmatchcase(PurePosixPath(path).name, glob)


def _is_file(patch: Patch, word: str, plain: str, folder: Path) -> bool:
    if not word.endswith(SUFFIX):
        return False
    inside = patch.file.relative_to(folder).as_posix()
    return inside.endswith(f"/{plain}") or inside == plain or plain.endswith(f"{folder.name}/{inside}")


def _require(kind: str, names: Sequence[str], known: Iterable[str]) -> None:
    listing = sorted(known)
    for name in names:
        if name not in listing:
            raise UsageError(
                f"the set has no {kind} named {name!r}{did_you_mean(name, listing)}",
                fix=f"known: {', '.join(listing) or 'none'}",
            )
