"""An earlier version of the patch set in a worktree: what it wrote, so that the new one can replace it."""

from __future__ import annotations

from collections.abc import Mapping

from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset.tree import Entry, difference
from winvllm_build.patchset.worktree import Worktree


def kept_ref(tag: str, target: str) -> str:
    """The worktree's own ref that keeps the patched tree's objects alive and says what was applied here."""
    return f"refs/worktree/winvllm/{tag}/{target}"


def applied_tree(place: Worktree, tag: str, target: str) -> Oid | None:
    """The patched tree that the last apply or regen left here."""
    done = place.git.run("rev-parse", "--verify", "--quiet", kept_ref(tag, target), ok=(0, 1))
    return Oid(done.text.strip()) if done.code == 0 else None


def written(
    place: Worktree, tag: str, target: str, *, patched: Oid | None, posts: Mapping[RepoPath, Oid]
) -> Mapping[RepoPath, Entry]:
    """What an earlier version of the set changed in this worktree; nothing if it was this version.

    Args:
        place: the worktree.
        tag: the set.
        target: its source tree.
        patched: the patched tree of this version, where the lock knows it.
        posts: the ids this version leaves.
    """
    tree = applied_tree(place, tag, target)
    if tree is None or tree == patched:
        return {}
    found = difference(place.git, place.base, tree)
    same = {path: entry.post for path, entry in found.items()} == dict(posts)
    return {} if same else found
