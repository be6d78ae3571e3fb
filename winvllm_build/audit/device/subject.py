"""What the required layer of a patch set changes: ids and contents before and after, and what headers say."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.audit.device.choice import Chosen, compiled
from winvllm_build.audit.device.record import Pair
from winvllm_build.audit.device.stage import Content
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath
from winvllm_build.patchset import tree as objects
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.layers import select
from winvllm_build.patchset.patchset import Patch, PatchSet
from winvllm_build.sources.source import Source


def pairs_of(patches: PatchSet) -> dict[RepoPath, Pair]:
    """The ids of every file that the required layer changes."""
    entries = patches.selected(select(patches.manifest))
    return {path: (entry.pre, entry.post) for path, entry in entries.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The patched files of one tag.

    Attributes:
        patches: the set.
        pairs: the ids of all patched files.
        blobs: upstream's contents by id.
    """

    patches: PatchSet
    pairs: Mapping[RepoPath, Pair]
    blobs: Mapping[Oid, bytes]

    @classmethod
    def of(cls, patches: PatchSet, source: Source) -> Subject:
        pairs = pairs_of(patches)
        blobs = objects.contents(Git(source.repository), [pre for pre, _ in pairs.values()])
        return cls(patches=patches, pairs=pairs, blobs=blobs)

    @property
    def compiled(self) -> tuple[RepoPath, ...]:
        return tuple(path for path in sorted(self.pairs) if compiled(path))

    def content(self, path: RepoPath, tree: Path) -> Content:
        """Both sides of a file; the patched one is in the tree."""
        pre, post = self.pairs[path]
        after = None if post == NO_OBJECT else tree.joinpath(*path.split("/")).read_bytes()
        return Content(before=self.blobs.get(pre), after=after)

    def contents(self, tree: Path) -> dict[RepoPath, Content]:
        """Both sides of every file that a compiler reads."""
        return {path: self.content(path, tree) for path in self.compiled}

    def behind(self, files: Collection[RepoPath]) -> tuple[Patch, ...]:
        """The patches of these files."""
        return tuple(patch for patch in self.patches.patches if patch.path in files)


class Sources:
    """The files of a patched tree, patched ones on both sides."""

    def __init__(self, tree: Path, contents: Mapping[RepoPath, Content]) -> None:
        self._tree = tree
        self._contents = contents
        self._read: dict[RepoPath, tuple[bytes, ...]] = {}

    def texts(self, path: RepoPath) -> tuple[bytes, ...]:
        """The text of a file, or the two of a patched one; none where there is no such file."""
        if path not in self._read:
            self._read[path] = self._fetched(path)
        return self._read[path]

    def digest(self, chosen: Chosen, also: Iterable[str]) -> str:
        """Of everything a unit is made of.

        Args:
            chosen: the unit.
            also: compilers, dependencies: what is no file of the tree.
        """
        found = hashlib.sha256()
        for word in (*also, chosen.recipe.arch, *chosen.recipe.options):
            found.update(f"{word}\n".encode())
        for path in sorted(chosen.closure):
            ids = " ".join(blob_id(text) for text in self.texts(path))
            found.update(f"{path} {ids}\n".encode())
        return found.hexdigest()

    def _fetched(self, path: RepoPath) -> tuple[bytes, ...]:
        content = self._contents.get(path)
        if content is not None:
            return tuple(text for text in (content.before, content.after) if text is not None)
        file = self._tree.joinpath(*path.split("/"))
        return (file.read_bytes(),) if file.is_file() else ()
