"""Which files two tags add, remove, change and move; moves as groups of folders."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final

from winvllm_build.git import Git, Oid

SIMILAR: Final = 50
"""Per cent of equal lines that make a move, as git merges by."""
ASIDE: Final = ("tests", "docs", "examples", "benchmarks", "recipes", ".buildkite", ".github", ".agents")
"""Not built and never patched: only files that moved unchanged are followed there."""


class Change(Enum):
    """What became of one file."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file; `new` differs from `old` only where it moved, and then `similarity` is in per cent."""

    change: Change
    old: str
    new: str
    similarity: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderMove:
    """Files that went from one folder to another."""

    old: str
    new: str
    files: int
    least: int
    """The lowest similarity among them."""

    @property
    def aside(self) -> bool:
        """Whether it is about files that are neither built nor patched."""
        return self.old.partition("/")[0] in ASIDE


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Every file that differs, by its old path, or its new one where it is added."""

    changes: tuple[FileChange, ...]

    def having(self, change: Change) -> tuple[FileChange, ...]:
        return tuple(one for one in self.changes if one.change is change)

    @cached_property
    def moved(self) -> Mapping[str, FileChange]:
        """The moves by the old path."""
        return {one.old: one for one in self.having(Change.MOVED)}

    def where(self, path: str) -> str:
        """Where a path went, or a pattern for files that configuring makes: with its folder's other files."""
        move = self.moved.get(path)
        if move is not None:
            return move.new
        folder, _, rest = path.rpartition("/") if "*" in path else ("", "", "")
        while folder:
            homes = self._homes.get(folder)
            if homes:
                return f"{homes.most_common(1)[0][0]}/{rest}"
            folder, _, last = folder.rpartition("/")
            rest = f"{last}/{rest}"
        return path

    @cached_property
    def _homes(self) -> Mapping[str, Counter[str]]:
        """The folders that the files of a folder went to."""
        found: dict[str, Counter[str]] = {}
        for old, change in self.moved.items():
            found.setdefault(posixpath.dirname(old), Counter())[posixpath.dirname(change.new)] += 1
        return found

    def folders(self) -> tuple[FolderMove, ...]:
        """The moves by folder, most files first; a whole tree that moved is one entry."""
        groups: dict[tuple[str, str], list[FileChange]] = {}
        for one in self.having(Change.MOVED):
            groups.setdefault(_stems(one.old, one.new), []).append(one)
        made = [
            FolderMove(old=old, new=new, files=len(found), least=min(one.similarity for one in found))
            for (old, new), found in groups.items()
        ]
        return tuple(sorted(made, key=lambda move: (-move.files, move.old, move.new)))


def between(git: Git, old: Oid, new: Oid) -> Moves:
    """What two trees of one repository differ in."""
    aside = [f":(top,exclude){folder}" for folder in ASIDE]
    built = _changes(git, old, new, SIMILAR, [":(top)", *aside])
    other = _changes(git, old, new, 100, [f":(top){folder}" for folder in ASIDE])
    return Moves(changes=tuple(sorted([*built, *other], key=lambda one: (one.old, one.new))))


def _changes(git: Git, old: Oid, new: Oid, similarity: int, places: Sequence[str]) -> list[FileChange]:
    options = ("-r", "-z", "--raw", "--no-abbrev", f"-M{similarity}%", "-l0")
    out = git.out("diff-tree", *options, old, new, "--", *places).decode("utf-8", "surrogateescape")
    fields = iter(out.split("\0")[:-1])
    found = []
    for meta in fields:
        status = meta.split()[4]
        path = next(fields)
        match status[0]:
            case "A":
                found.append(FileChange(change=Change.ADDED, old=path, new=path))
            case "D":
                found.append(FileChange(change=Change.REMOVED, old=path, new=path))
            case "R":
                found.append(FileChange(
                    change=Change.MOVED, old=path, new=next(fields), similarity=int(status[1:])
                ))  # fmt: skip
            case _:
                found.append(FileChange(change=Change.CHANGED, old=path, new=path))
    return found


def _stems(old: str, new: str) -> tuple[str, str]:
    """The folders a move is between, without the part of both paths that is the same at their ends."""
    before, after = posixpath.dirname(old).split("/"), posixpath.dirname(new).split("/")
    while len(before) > 1 and len(after) > 1 and before[-1] == after[-1]:
        before.pop()
        after.pop()
    return "/".join(before), "/".join(after)


def numbers(git: Git, old: Oid, new: Oid, paths: Iterable[str]) -> Mapping[str, tuple[int, int]]:
    """Added and removed lines of some files by their new path; moves among `paths` are followed."""
    wanted = sorted(set(paths))
    if not wanted:
        return {}
    options = ("-r", "-z", "--numstat", f"-M{SIMILAR}%", "-l0")
    out = git.out("--literal-pathspecs", "diff-tree", *options, old, new, "--", *wanted)
    fields = iter(out.decode("utf-8", "surrogateescape").split("\0")[:-1])
    found: dict[str, tuple[int, int]] = {}
    for field in fields:
        added, removed, path = field.split("\t")
        if not path:  # a move: the two paths follow
            next(fields)
            path = next(fields)
        found[path] = (int(added), int(removed)) if added != "-" else (0, 0)
    return found
