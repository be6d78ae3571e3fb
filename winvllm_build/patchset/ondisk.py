"""What lies on disk and in the index under a name, links and folders told from files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.lock import Side
from winvllm_build.patchset.worktree import Worktree

IN_THE_WAY: Final = Oid("-")
"""Stands for what is not a regular file (a folder, a link) or lies behind a link."""
JUNCTION: Final = 0xA0000003
"""IO_REPARSE_TAG_MOUNT_POINT: what `mklink /J` makes, a link in all but name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The index entry of a file; `stage` is not 0 in a merge."""

    mode: str
    oid: Oid
    stage: int

    @property
    def side(self) -> Side:
        return Side(oid=self.oid, mode=self.mode)


NOT_STAGED: Final = Staged(mode="000000", oid=NO_OBJECT, stage=0)


def current_oid(file: Path, top: Path) -> Oid:
    """The blob id of what lies at `file`: `NO_OBJECT` for nothing, `IN_THE_WAY` for no regular file."""
    for parent in reversed(file.relative_to(top).parents):
        if _is_link(top / parent) and parent.parts:
            return IN_THE_WAY
    try:
        info = file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return NO_OBJECT
    if not stat.S_ISREG(info.st_mode):
        return IN_THE_WAY
    return blob_id(file.read_bytes())


def index_entries(tree: Worktree, paths: Iterable[RepoPath]) -> Mapping[RepoPath, Staged]:
    paths = tuple(paths)
    if not paths:
        return {}
    listed = tree.git.out("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *paths)
    found: dict[RepoPath, Staged] = {}
    for record in listed.split(b"\0")[:-1]:
        meta, name = record.split(b"\t", 1)
        mode, oid, stage = meta.decode("ascii").split()
        path = RepoPath(name.decode("utf-8", "surrogateescape"))
        found[path] = Staged(mode=mode, oid=Oid(oid), stage=int(stage))
    return found


def mode_of(file: Path, entry: Staged) -> str:
    """Windows keeps no executable bit, so there the index knows."""
    if os.name == "nt":
        return entry.mode
    return "100755" if file.stat().st_mode & stat.S_IXUSR else "100644"


def _is_link(folder: Path) -> bool:
    try:
        info = folder.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(info.st_mode) or getattr(info, "st_reparse_tag", 0) == JUNCTION
