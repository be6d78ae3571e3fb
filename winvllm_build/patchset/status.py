"""Where a worktree stands, file by file: derived from the files each time, never stored."""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winvllm_build.errors import TreeStateError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.lock import TargetLock
from winvllm_build.patchset.older import written
from winvllm_build.patchset.patchset import MAIN_TARGET, Patch, PatchSet
from winvllm_build.patchset.tree import Entry
from winvllm_build.patchset.worktree import Worktree, open_worktree

IN_THE_WAY: Final = Oid("-")
"""Stands for what is not a regular file (a folder, a link) or lies behind a link."""
JUNCTION: Final = 0xA0000003
"""IO_REPARSE_TAG_MOUNT_POINT: what `mklink /J` makes, a link in all but name."""


class FileState(enum.Enum):
    """One patched file."""

    PRISTINE = "pristine"
    APPLIED = "applied"
    DIRTY = "dirty"
    MISSING = "missing"
    OUTDATED = "outdated"
    """Exactly as an earlier version of the patch set left it."""


class TreeState(enum.Enum):
    """The whole tree."""

    PRISTINE = "pristine"
    APPLIED = "applied"
    PARTIAL = "partial"
    OUTDATED = "outdated"
    """An earlier version of the patch set is applied, and nobody edited it."""
    DIRTY = "dirty"
    WRONG_BASE = "wrong base"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus:
    """`current` is the id of what lies on disk (`NO_OBJECT` for nothing); `detail` says why it is dirty."""

    path: RepoPath
    state: FileState
    current: Oid
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeStatus:
    """`interrupted` names the operation that was killed here; the next run finishes it or rolls it back."""

    state: TreeState
    files: tuple[FileStatus, ...]
    worktree: Path
    base: Oid | None
    interrupted: str | None
    detail: str = ""
    older: Mapping[RepoPath, Entry] = field(default_factory=dict)
    """What an earlier version of the set changed here."""

    def having(self, *states: FileState) -> tuple[FileStatus, ...]:
        return tuple(file for file in self.files if file.state in states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The index entry of a file; `stage` is not 0 in a merge."""

    mode: str
    oid: Oid
    stage: int


def status(patch_set: PatchSet, worktree: Path, *, target: str = MAIN_TARGET) -> TreeStatus:
    """Compare the patched files with the patch set; reads those files only and writes nothing."""
    try:
        tree = open_worktree(worktree)
    except TreeStateError as error:
        return TreeStatus(
            state=TreeState.FOREIGN, files=(), worktree=worktree, base=None, interrupted=None,
            detail=error.message,
        )  # fmt: skip
    return examine(tree, patch_set, target)


def examine(tree: Worktree, patch_set: PatchSet, target: str) -> TreeStatus:
    """`status` of an open worktree."""
    locked = patch_set.target(target)
    journal = tree.journal.read()
    interrupted = None if journal is None else str(journal.get("operation", "run"))
    tagged = target == MAIN_TARGET and patch_set.pin.means(tree.head)
    fault = None if tagged else base_fault(tree, locked)
    if fault is not None:
        return TreeStatus(
            state=TreeState.WRONG_BASE, files=(), worktree=tree.folder, base=tree.base,
            interrupted=interrupted, detail=fault,
        )  # fmt: skip
    patches = patch_set.of(target)
    staged = index_entries(tree, [patch.path for patch in patches])
    files = tuple(_file_status(tree, patch, staged) for patch in patches)
    pair = locked.pair_of(tree.base)
    before = written(
        tree, patch_set.tag, target, patched=None if pair is None else pair.patched,
        posts={patch.path: patch.post for patch in patches},
    )  # fmt: skip
    if before:
        files = _outdated(tree, files, before)
    return TreeStatus(
        state=_whole(files), files=files, worktree=tree.folder, base=tree.base, interrupted=interrupted,
        older=before,
    )  # fmt: skip


def _outdated(
    tree: Worktree, files: tuple[FileStatus, ...], before: Mapping[RepoPath, Entry]
) -> tuple[FileStatus, ...]:
    """The files with those marked that an earlier version wrote, its dropped ones added."""
    staged = index_entries(tree, before)
    untouched = {
        path: current
        for path, entry in before.items()
        if (current := current_oid(tree.file(path), tree.folder)) == entry.post
        and (staged[path].oid if path in staged else NO_OBJECT) == entry.post
    }
    marked = [
        FileStatus(path=f.path, state=FileState.OUTDATED, current=f.current)
        if f.state in (FileState.DIRTY, FileState.MISSING) and f.path in untouched
        else f
        for f in files
    ]
    dropped = sorted(untouched.keys() - {f.path for f in files})
    marked += [FileStatus(path=p, state=FileState.OUTDATED, current=untouched[p]) for p in dropped]
    return tuple(marked)


def base_fault(tree: Worktree, locked: TargetLock) -> str | None:
    """Why HEAD is not what the patches are made for, or None."""
    if tree.head == locked.commit or locked.pair_of(tree.base) is not None:
        return None
    known = ", ".join(f"{kind} {pair.base[:12]}" for kind, pair in sorted(locked.trees.items()))
    return (
        f"HEAD is the commit {tree.head[:12]} with the tree {tree.base[:12]}; the patches are for the commit "
        f"{locked.commit[:12]} (trees: {known})"
    )


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
    listed = tree.git.out("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *paths)
    found: dict[RepoPath, Staged] = {}
    for record in listed.split(b"\0")[:-1]:
        meta, name = record.split(b"\t", 1)
        mode, oid, stage = meta.decode("ascii").split()
        path = RepoPath(name.decode("utf-8", "surrogateescape"))
        found[path] = Staged(mode=mode, oid=Oid(oid), stage=int(stage))
    return found


def _file_status(tree: Worktree, patch: Patch, staged: Mapping[RepoPath, Staged]) -> FileStatus:
    file = tree.file(patch.path)
    current = current_oid(file, tree.folder)
    state, detail = FileState.DIRTY, ""
    entry = staged.get(patch.path, Staged(mode="000000", oid=NO_OBJECT, stage=0))
    if current == IN_THE_WAY:
        detail = "a folder or a link is in its place"
    elif entry.stage != 0:
        detail = "it is in the middle of a merge"
    elif patch.pre == patch.post == current:
        state = FileState.APPLIED if _mode(file, entry) == patch.modes[1] else FileState.PRISTINE
    elif current == patch.post:
        state = FileState.APPLIED
    elif entry.oid not in (patch.pre, patch.post):
        detail = "other content is staged for it"
    elif current == patch.pre:
        state = FileState.PRISTINE
    elif current == NO_OBJECT:
        state, detail = FileState.MISSING, "it was deleted"
    else:
        detail = _why_dirty(file, patch)
    return FileStatus(path=patch.path, state=state, current=current, detail=detail)


def _mode(file: Path, entry: Staged) -> str:
    """Windows keeps no executable bit, so there the index knows."""
    if os.name == "nt":
        return entry.mode
    return "100755" if file.stat().st_mode & stat.S_IXUSR else "100644"


def _why_dirty(file: Path, patch: Patch) -> str:
    plain = blob_id(file.read_bytes().replace(b"\r\n", b"\n"))
    if plain in (patch.pre, patch.post):
        return "only its line ends differ: CRLF (git's core.autocrlf?)"
    return "it was edited"


def _whole(files: tuple[FileStatus, ...]) -> TreeState:
    states = {file.state for file in files}
    if FileState.DIRTY in states or FileState.MISSING in states:
        return TreeState.DIRTY
    if FileState.OUTDATED in states:
        return TreeState.OUTDATED
    if states == {FileState.APPLIED}:
        return TreeState.APPLIED
    if states == {FileState.PRISTINE}:
        return TreeState.PRISTINE
    return TreeState.PARTIAL


def _is_link(folder: Path) -> bool:
    try:
        info = folder.lstat()
    except OSError:
        return False
    return stat.S_ISLNK(info.st_mode) or getattr(info, "st_reparse_tag", 0) == JUNCTION
