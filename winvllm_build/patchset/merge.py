"""Carrying a change from one tree to another: a three-way merge of whole trees in objects alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import WinvllmError
from winvllm_build.git import Git, Oid, RepoPath

BASE, OURS, THEIRS = 1, 2, 3
"""git's stages of a conflict: the old upstream, the new upstream, our change."""
CONFLICT: Final = "CONFLICT ("


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One side of a conflict."""

    mode: str
    oid: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """One path the merge could not decide.

    Attributes:
        path: its place in the merged tree.
        stages: the sides that exist, by `BASE`, `OURS`, `THEIRS`.
        kinds: git's names of what is wrong, such as `contents` or `modify/delete`.
        words: git's sentences about it.
    """

    path: RepoPath
    stages: Mapping[int, Stage]
    kinds: tuple[str, ...]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A merged tree; a conflicting path is in it with markers in the form of diff3, or as git left it."""

    tree: Oid
    conflicts: Mapping[RepoPath, Conflict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commits:
    """Three reproducible commits: `ours` and `theirs` are both made on `root`."""

    root: Oid
    ours: Oid
    theirs: Oid


def commits(
    git: Git, *, base: Oid, changed: Oid, onto: Oid, names: tuple[str, str, str] = ("base", "onto", "change")
) -> Commits:
    """The change from `base` to `changed` as a commit to pick onto `onto`; no ref keeps them.

    Args:
        git: a repository that has the trees.
        base: the tree that was changed.
        changed: the same with the change.
        onto: the tree that gets it.
        names: the messages of the three commits: base, onto, change.
    """
    root = git.commit_tree(base, names[0])
    return Commits(
        root=root,
        ours=git.commit_tree(onto, names[1], parents=(root,)),
        theirs=git.commit_tree(changed, names[2], parents=(root,)),
    )


def transplant(git: Git, *, base: Oid, changed: Oid, onto: Oid) -> Merge:
    """`onto` with the change from `base` to `changed`; renames on either side are followed.

    The same result on every git since 2.38: three commits instead of `--merge-base`, conflicts read from the
    stages and not from words (git-merge-tree(1), "Mistakes to avoid").
    """
    made = commits(git, base=base, changed=changed, onto=onto)
    merge = ("-c", "merge.conflictStyle=diff3", "merge-tree", "--write-tree", "-z", "--messages")
    done = git.run(*merge, made.ours, made.theirs, ok=(0, 1))
    found = _read(done.out)
    if (done.code == 1) != bool(found.conflicts):
        raise WinvllmError(
            f"git merge-tree exited {done.code} with {len(found.conflicts)} conflicts",
            fix="report this with the output of `git --version`",
        )
    return found


def _read(out: bytes) -> Merge:
    """The three sections of `merge-tree -z`: tree, stages, messages."""
    records = [record.decode("utf-8", "surrogateescape") for record in out.split(b"\0")]
    stages: dict[RepoPath, dict[int, Stage]] = {}
    at = 1
    while at < len(records) and records[at]:
        meta, _, path = records[at].partition("\t")
        mode, oid, number = meta.split()
        stages.setdefault(RepoPath(path), {})[int(number)] = Stage(mode=mode, oid=Oid(oid))
        at += 1
    kinds, words = _messages(records[at + 1 :], stages)
    return Merge(
        tree=Oid(records[0]),
        conflicts={
            path: Conflict(
                path=path, stages=stages.get(path, {}), kinds=tuple(kinds.get(path, ())),
                words=tuple(words.get(path, ())),
            )
            for path in sorted({*stages, *kinds})
        },
    )  # fmt: skip


def _messages(
    records: list[str], stages: Mapping[RepoPath, object]
) -> tuple[dict[RepoPath, list[str]], dict[RepoPath, list[str]]]:
    """Kinds and sentences of the conflicts by path; each record is a count, paths, a kind, a sentence.

    git also tells of conflicts that it settled afterwards: none of their paths has stages.
    """
    kinds: dict[RepoPath, list[str]] = {}
    words: dict[RepoPath, list[str]] = {}
    at = 0
    while at < len(records) and records[at]:
        count = int(records[at])
        paths, kind, text = records[at + 1 : at + 1 + count], records[at + 1 + count], records[at + 2 + count]
        if kind.startswith(CONFLICT) and not stages.keys().isdisjoint(paths):
            for path in map(RepoPath, paths):
                kinds.setdefault(path, []).append(kind.removeprefix(CONFLICT).removesuffix(")"))
                words.setdefault(path, []).append(text.strip())
        at += count + 3
    return kinds, words
