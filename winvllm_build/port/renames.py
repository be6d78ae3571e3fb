"""Where upstream moved files between two tags, asked only about the few files that patches are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath, TreeEntry

SIMILAR: Final = 50
"""Per cent of equal lines that make a rename, as git merges by."""
HINT: Final = 25
"""Per cent that are worth a hint to a human."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rename:
    """A file of the old tag that is elsewhere in the new one; `similarity` in per cent."""

    old: RepoPath
    new: RepoPath
    similarity: int


def renames(
    git: Git, gone: Iterable[TreeEntry], added: Iterable[TreeEntry], *, similarity: int = SIMILAR
) -> dict[RepoPath, Rename]:
    """The new places of files that are gone, by their old one.

    A small tree and a small index are compared, so that nothing else is read.

    Args:
        git: a scratch repository.
        gone: files of the old tag that the new one does not have.
        added: files of the new tag that the old one does not have.
        similarity: per cent of equal lines below which it is another file.
    """
    before, after = list(gone), list(added)
    if not before or not after:
        return {}
    options = ("--cached", "-z", "--raw", f"-M{similarity}%", "-l0", "--diff-filter=R", "--no-abbrev")
    base = tree_of(git, before)
    with filled_index(git, after) as index:
        out = git.out("diff-index", *options, base, index=index)
    fields = [field.decode("utf-8", "surrogateescape") for field in out.split(b"\0")[:-1]]
    found = {}
    for meta, old, new in zip(fields[0::3], fields[1::3], fields[2::3], strict=True):
        score = int(meta.split()[4].removeprefix("R"))
        found[RepoPath(old)] = Rename(old=RepoPath(old), new=RepoPath(new), similarity=score)
    return found


def tree_of(git: Git, entries: Iterable[TreeEntry]) -> Oid:
    """A tree of just these files."""
    with filled_index(git, entries) as index:
        return Oid(git.line("write-tree", index=index))


@contextmanager
def filled_index(git: Git, entries: Iterable[TreeEntry]) -> Iterator[Path]:
    """An index of just these files."""
    records = "".join(f"{entry.mode} {entry.oid}\t{entry.path}\0" for entry in entries)
    with git.temporary_index() as index:
        stdin = records.encode("utf-8", "surrogateescape")
        git.out("update-index", "-z", "--add", "--index-info", stdin=stdin, index=index)
        yield index
