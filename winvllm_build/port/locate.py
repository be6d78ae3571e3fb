"""Where code went that left its file: its longest lines are looked for in the whole new tree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset.diff import Diff, Hunk
from winvllm_build.patchset.tree import contents
from winvllm_build.port.renames import HINT, Rename, renames

LINES: Final = 3
"""Of each hunk, the longest ones."""
MOST: Final = 3
"""Files that are named."""
TELLING: Final = re.compile(rb"\w\W*\w.*\w{3}")
SHORTEST: Final = 10
"""Shorter lines are in many files."""
LEAST: Final = 2
"""Lines that a file needs in common."""
NOTHING_FOUND: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A file that has lines which a patch is about.

    Attributes:
        path: the file.
        found: how many of the lines looked for it has.
        sought: how many were looked for.
        whole: how many hunks have all their lines there.
    """

    path: RepoPath
    found: int
    sought: int
    whole: int

    @property
    def words(self) -> str:
        return f"{self.found} of {self.sought} of its longest lines are in {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A patch whose place is looked for; `place` is the file in the new tree that it would go to."""

    diff: Diff
    place: RepoPath | None = None


def locate(git: Git, tree: Oid, diff: Diff, *, place: RepoPath | None = None) -> tuple[Location, ...]:
    """The files of `tree` with the lines that `diff` changes or stands beside, the likeliest first.

    Args:
        git: a scratch repository.
        tree: the new tag's.
        diff: the patch.
        place: its file there; lines that are still in it are not looked for.
    """
    return locate_all(git, tree, {diff.path: Lost(diff=diff, place=place)})[diff.path]


def locate_all(git: Git, tree: Oid, lost: Mapping[RepoPath, Lost]) -> dict[RepoPath, tuple[Location, ...]]:
    """`locate` for several patches, with one search through the tree."""
    kept = _contents(git, tree, [one.place for one in lost.values() if one.place is not None])
    sought = {path: _sought(one.diff, kept.get(one.place or path, frozenset())) for path, one in lost.items()}
    found = _search(git, tree, {line for hunks in sought.values() for lines in hunks for line in lines})
    return {path: _ranked(sought[path], found, without={path, one.place}) for path, one in lost.items()}


def likeness(git: Git, path: RepoPath, *, old: Oid, new: Oid) -> Rename | None:
    """The new file that a file that is gone has most in common with, though too little to be a rename.

    Args:
        git: a scratch repository.
        path: the file.
        old: the old tag's tree.
        new: the new tag's tree.
    """
    before, after = git.entries(old), git.entries(new)
    if path not in before or path in after:
        return None
    added = [entry for name, entry in after.items() if name not in before]
    return renames(git, [before[path]], added, similarity=HINT).get(path)


def _contents(git: Git, tree: Oid, places: Sequence[RepoPath]) -> dict[RepoPath, frozenset[bytes]]:
    """The lines of some files, without blanks around them."""
    there = git.entries(tree, tuple(places)) if places else {}
    blobs = contents(git, [entry.oid for entry in there.values()])
    return {
        path: frozenset(line.strip() for line in blobs[entry.oid].split(b"\n"))
        for path, entry in there.items()
    }


def _sought(diff: Diff, still_there: frozenset[bytes]) -> tuple[frozenset[bytes], ...]:
    """For each hunk that lost lines, the longest of them."""
    hunks = (_longest(line for line in _before(hunk) if line not in still_there) for hunk in diff.hunks)
    return tuple(lines for lines in hunks if lines)


def _before(hunk: Hunk) -> Iterator[bytes]:
    return (line[1:].strip() for line in hunk.lines if line[:1] in (b" ", b"-"))


def _longest(lines: Iterable[bytes]) -> frozenset[bytes]:
    telling = {line for line in lines if len(line) >= SHORTEST and TELLING.search(line)}
    return frozenset(sorted(telling, key=lambda line: (-len(line), line))[:LINES])


def _search(git: Git, tree: Oid, lines: set[bytes]) -> dict[RepoPath, set[bytes]]:
    """Which of the lines each file has."""
    if not lines:
        return {}
    asked = b"".join(line + b"\n" for line in sorted(lines))
    options = ("-F", "-I", "-z", "--full-name", "--no-color", "-f", "-")
    done = git.run("grep", *options, tree, stdin=asked, ok=(0, NOTHING_FOUND))
    found: dict[RepoPath, set[bytes]] = {}
    for record in done.out.split(b"\n")[:-1]:
        name, _, text = record.partition(b"\0")
        path = RepoPath(name.partition(b":")[2].decode("utf-8", "surrogateescape"))
        line = text.strip()
        if line in lines:
            found.setdefault(path, set()).add(line)
    return found


def _ranked(
    sought: Sequence[frozenset[bytes]], found: Mapping[RepoPath, set[bytes]], *, without: set[RepoPath | None]
) -> tuple[Location, ...]:
    """Files that have all lines of a hunk, or at least half of all; one line alone may be anywhere."""
    wanted = frozenset[bytes]().union(*sought)
    made = [
        Location(
            path=path, found=len(wanted & lines), sought=len(wanted),
            whole=sum(hunk <= lines for hunk in sought),
        )
        for path, lines in found.items()
        if path not in without
    ]  # fmt: skip
    likely = [one for one in made if one.found >= LEAST and (one.whole or 2 * one.found >= one.sought)]
    return tuple(sorted(likely, key=lambda one: (-one.found, -one.whole, one.path))[:MOST])
