"""Where the source of a set is at hand: the tool's own repositories, and a worktree that was named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.git import Git, GitError, Oid
from winvllm_build.patchset.lock import TargetLock
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft
from winvllm_build.patchset.worktree import Worktree
from winvllm_build.sources.repository import commit_at
from winvllm_build.sources.source import target_name
from winvllm_build.workspace import Workspace

TREE: Final = "tree"
GIT: Final = "git"
SDIST: Final = "sdist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One commit that is said to be the tag's source.

    Attributes:
        kind: `git`, `sdist` or `local` as the tool keeps it, `tree` for a worktree that was named.
        commit: the commit; None where its objects are missing.
        tree: its tree.
        folder: the repository or worktree.
        objects: where git finds its objects.
        ref: what keeps it, where a ref does.
        pinned: how the manifest says that it is this one: `git` by the commit, `sdist` by the archive.
        known: the lock has its tree.
    """

    kind: str
    commit: Oid | None
    tree: Oid
    folder: Path
    objects: Path
    ref: str = ""
    pinned: str = ""
    known: bool = False

    @property
    def words(self) -> str:
        return f"{self.ref or 'HEAD'} of {self.folder}"


def repository_of(draft: Draft, target: str, workspace: Workspace) -> Path:
    """The bare repository that a target's source is kept in, whether it exists or not."""
    name = target_name(draft.pin) if target == MAIN_TARGET else "deps"
    return workspace.sources / name / "repo.git"


def origins(
    draft: Draft, target: str, locked: TargetLock | None, repository: Path, place: Worktree | None
) -> tuple[Origin, ...]:
    """Every source of `target` that is at hand, the ones that the manifest pins first.

    Raises:
        GitError: the repository cannot be read at all.
    """
    found = list(_kept(draft, target, locked, repository)) if repository.is_dir() else []
    if place is not None:
        pinned, known = _ties(draft, target, locked, place.head, place.base)
        found.append(
            Origin(
                kind=TREE, commit=place.head, tree=place.base, folder=place.folder, objects=place.objects,
                pinned=pinned, known=known,
            )
        )  # fmt: skip
    return tuple(
        sorted(found, key=lambda origin: (origin.commit is None, not origin.pinned, not origin.known))
    )


def _kept(draft: Draft, target: str, locked: TargetLock | None, repository: Path) -> Iterator[Origin]:
    git = Git(repository)
    prefix = f"refs/winvllm/{draft.tag if target == MAIN_TARGET else target}/"
    for ref in git.out("for-each-ref", "--format=%(refname)", prefix).decode("utf-8").split():
        kind = ref.removeprefix(f"{prefix}base-") if target == MAIN_TARGET else GIT
        if "/" in kind:
            continue  # not a source
        commit = commit_at(git, ref)
        tree = _tree(git, commit)
        pinned, known = "", False
        if commit is not None and tree is not None:
            pinned, known = _ties(draft, target, locked, commit, tree)
        yield Origin(
            kind=kind, commit=commit if tree else None, tree=tree or Oid(""), folder=repository,
            objects=repository / "objects", ref=ref, pinned=pinned, known=known,
        )  # fmt: skip


def _tree(git: Git, commit: Oid | None) -> Oid | None:
    try:
        return None if commit is None else git.tree_of(commit)
    except GitError:
        return None


def _ties(draft: Draft, target: str, locked: TargetLock | None, commit: Oid, tree: Oid) -> tuple[str, bool]:
    """How the manifest pins this commit, and whether the lock has its tree."""
    known = locked is not None and locked.pair_of(tree) is not None
    if target != MAIN_TARGET:
        return GIT if commit == draft.commit_of(target) else "", known
    sdist = draft.pin.sdist
    if sdist is not None and commit == sdist.commit_id(tree):
        return SDIST, known
    return GIT if draft.pin.means(commit) else "", known
