"""A branch or range of commits in somebody's repository: two trees, and what the commits say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.errors import SourceError, UsageError
from winvllm_build.git import Git, GitError, Oid, RepoPath
from winvllm_build.patchset.header import Header
from winvllm_build.review.messages import described
from winvllm_build.sources.pins import SourcePin

MOST_COMMITS: Final = 300
"""The messages of a longer branch are not read: it is no list of patches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What a branch changes.

    Attributes:
        objects: the folder of the repository's objects.
        base: the tree it starts from.
        tip: the tree it ends with.
        headers: of each file, what the commits that change it say.
        words: what was compared.
    """

    objects: Path
    base: Oid
    tip: Oid
    headers: Mapping[RepoPath, tuple[Header, ...]]
    words: str


def open_branch(folder: Path, revision: str, *, base: str | None, pin: SourcePin) -> Branch:
    """Find out what a branch changes since it left upstream.

    Args:
        folder: the repository, or a worktree of it.
        revision: a branch, tag or commit, or `BASE..BRANCH`.
        base: what it is compared with; None for the tag's commit. Where the two have gone different ways,
            their merge base counts.
        pin: of the tag.

    Raises:
        SourceError: no repository, or no such revision in it.
        UsageError: nothing says what to compare with.
    """
    git = Git(folder)
    try:
        objects = git.line("rev-parse", "--git-path", "objects")
    except (GitError, OSError) as error:
        raise SourceError(f"{folder} is not a git repository", fix="name one with --repo") from error
    start, dots, tip_name = revision.rpartition("..")
    if dots and base is not None:
        raise UsageError(f"two bases are named: {start} and {base}", fix="name one")
    tip = _commit(git, tip_name or "HEAD")
    other = _commit(git, start or base or "HEAD") if dots or base else _tagged(git, pin)
    common = git.run("merge-base", other, tip, ok=(0, 1))
    since = Oid(common.text.strip()) if common.code == 0 else other
    return Branch(
        objects=git.folder / objects, base=git.tree_of(since), tip=git.tree_of(tip),
        headers=_headers(git, since, tip),
        words=f"commit {tip[:12]} of {folder}, compared with {since[:12]}",
    )  # fmt: skip


def _commit(git: Git, revision: str) -> Oid:
    done = git.run("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", ok=(0, 1, 128))
    if done.code != 0 or revision.startswith("-"):
        raise SourceError(
            f"the repository {git.folder} has no revision {revision!r}", fix=f"git -C {git.folder} branch -a"
        )
    return Oid(done.text.strip())


def _tagged(git: Git, pin: SourcePin) -> Oid:
    """The tag's commit in that repository."""
    for name in filter(None, (pin.commit, f"refs/tags/{pin.tag}")):
        done = git.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", ok=(0, 1, 128))
        if done.code == 0:
            return Oid(done.text.strip())
    raise UsageError(
        f"the repository {git.folder} does not have {pin.tag}, so nothing says where the branch starts",
        fix="name the revision it is based on with --base",
    )


def _headers(git: Git, since: Oid, tip: Oid) -> dict[RepoPath, tuple[Header, ...]]:
    commits = git.out("rev-list", "--no-merges", f"--max-count={MOST_COMMITS + 1}", f"{since}..{tip}").split()
    found: dict[RepoPath, tuple[Header, ...]] = {}
    if len(commits) > MOST_COMMITS:
        return found
    for commit in (oid.decode("ascii") for oid in reversed(commits)):
        text = git.out("log", "-1", "--encoding=UTF-8", "--format=%s%x00%b", commit)
        subject, _, body = text.decode("utf-8", "replace").partition("\0")
        header = described(subject, body)
        listed = git.out(
            "diff-tree", "--no-commit-id", "--root", "-r", "-z", "--name-only", "--no-renames", commit
        )
        for name in listed.split(b"\0")[:-1]:
            path = RepoPath(name.decode("utf-8", "surrogateescape"))
            found[path] = (*found.get(path, ()), header)
    return found
