"""The files of a patch set before and after each patch, read from git's objects; no tree is applied."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from winvllm_build.audit.files import Files
from winvllm_build.audit.guard.python_module import Siblings
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath
from winvllm_build.intake.checkout import Checkout
from winvllm_build.patchset import tree as objects
from winvllm_build.patchset.diff import Change
from winvllm_build.patchset.layers import Composer, distinct, select
from winvllm_build.patchset.patchset import MAIN_TARGET, Patch, PatchSet
from winvllm_build.patchset.tree import Entry
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.sources.source import Source

FIX = "see `winvllm-build doctor patches`"


class Tree:
    """One of the trees that files are taken from."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @cached_property
    def siblings(self) -> Siblings:
        return Siblings(self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One file, before and after.

    Attributes:
        layer: the layer of the patch, or several joined by `+`: what they make of the file together.
        before: the content; None where the file is added.
        after: the content; None where it is deleted.
        ids: the blobs (`NO_OBJECT` for none).
        modes: git's, before and after.
        guard: the header's field; None where there is no header to ask.
        old: the tree that the patch is made for.
        new: that tree with the patch's layer applied.
    """

    layer: str
    path: str
    change: Change
    before: bytes | None
    after: bytes | None
    ids: tuple[Oid, Oid]
    modes: tuple[str, str]
    guard: str | None
    old: Tree
    new: Tree


@contextmanager
def opened(patch_set: PatchSet, source: Source) -> Iterator[tuple[Pair, ...]]:
    """The pairs of a set's main target, those of the required layer first; they read while the block lasts.

    Every layer is held against the tree that it stands on. A file that several layers of an allowed
    combination change has a pair for what they make of upstream's together.

    Raises:
        PatchError: the patches do not fit the source.
        ConflictError: two layers that are allowed together cannot be combined.
    """
    patches = patch_set.of(MAIN_TARGET)
    with scratch_of(source.repository / "objects") as git:
        composer = Composer(git, patches, source.tree, fix=FIX)
        reader = _Reader(git)
        found: list[Pair] = []
        for layer in patch_set.layers:
            mine = {patch.path: patch for patch in patches if patch.layer == layer.name}
            if mine:
                chosen = select(patch_set.manifest, [layer.name])
                base, made = composer.below(chosen, layer.name), composer.own(chosen, layer.name)
                found += reader.pairs(layer.name, base, made, mine)
        found += _together(patch_set, composer, reader, patches)
        yield tuple(found)


def _together(
    patch_set: PatchSet, composer: Composer, reader: _Reader, patches: Sequence[Patch]
) -> Iterator[Pair]:
    seen = {(patch.path, patch.post) for patch in patches}
    for selection in distinct(patch_set.manifest, list(composer.patches)).values():
        shared = {patch.path for patch in patches if len(composer.touching(selection.layers, patch.path)) > 1}
        if not shared:
            continue
        for pair in reader.pairs("+".join(selection.layers), composer.base, composer.tree(selection), shared):
            if (RepoPath(pair.path), pair.ids[1]) not in seen:
                seen.add((RepoPath(pair.path), pair.ids[1]))
                yield pair


class _Reader:
    """Reads pairs of trees; each tree is listed once."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._trees: dict[Oid, Tree] = {}

    def pairs(
        self, layer: str, base: Oid, made: Oid, patches: dict[RepoPath, Patch] | Collection[RepoPath]
    ) -> list[Pair]:
        changed = objects.difference(self._git, base, made)
        entries = {path: entry for path, entry in changed.items() if path in patches}
        blobs = objects.contents(self._git, [oid for e in entries.values() for oid in (e.pre, e.post)])
        headers = {
            path: patch.content.header.get("Guard") or ""
            for path, patch in (patches.items() if isinstance(patches, dict) else ())
        }
        return [
            Pair(
                layer=layer, path=str(path), change=_change(entry), before=blobs.get(entry.pre),
                after=blobs.get(entry.post), ids=(entry.pre, entry.post), modes=entry.modes,
                guard=headers.get(path), old=self._tree(base), new=self._tree(made),
            )
            for path, entry in sorted(entries.items())
        ]  # fmt: skip

    def _tree(self, oid: Oid) -> Tree:
        if oid not in self._trees:
            self._trees[oid] = Tree(Files.of_checkout(Checkout(self._git, oid, oid)))
        return self._trees[oid]


def _change(entry: Entry) -> Change:
    if entry.pre == NO_OBJECT:
        return Change.ADDED
    return Change.DELETED if entry.post == NO_OBJECT else Change.MODIFIED
