"""Where a worktree stands, file by file: derived from the files each time, never stored."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.errors import TreeStateError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.layers import Selection
from winvllm_build.patchset.lock import Side, TargetLock
from winvllm_build.patchset.older import written
from winvllm_build.patchset.ondisk import IN_THE_WAY, NOT_STAGED, Staged, current_oid, index_entries, mode_of
from winvllm_build.patchset.patchset import MAIN_TARGET, PatchSet
from winvllm_build.patchset.present import Known, Sides, known
from winvllm_build.patchset.tree import Entry
from winvllm_build.patchset.worktree import Worktree, open_worktree


class FileState(enum.Enum):
    """One patched file."""

    PRISTINE = "pristine"
    APPLIED = "applied"
    DIRTY = "dirty"
    MISSING = "missing"
    OUTDATED = "outdated"
    """Exactly as an earlier version of the patch set, or other layers of this one, left it."""


class TreeState(enum.Enum):
    """The whole tree."""

    PRISTINE = "pristine"
    APPLIED = "applied"
    PARTIAL = "partial"
    OUTDATED = "outdated"
    """An earlier version of the patch set is applied, or other layers of this one; nobody edited them."""
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
    """Where a tree stands.

    Attributes:
        state: of the whole.
        files: those that the layers asked for change, and others that are not as these layers leave them.
        worktree: its folder.
        base: the tree of HEAD.
        interrupted: the operation that was killed here; the next run finishes it or rolls it back.
        detail: why the base is wrong.
        older: what an earlier version of the set, or other layers, changed here.
        asked: the layers this is about.
        applied: the layers that are here, edited or not; empty where none is or nobody knows.
    """

    state: TreeState
    files: tuple[FileStatus, ...]
    worktree: Path
    base: Oid | None
    interrupted: str | None
    detail: str = ""
    older: Mapping[RepoPath, Entry] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    applied: tuple[str, ...] = ()

    def having(self, *states: FileState) -> tuple[FileStatus, ...]:
        return tuple(file for file in self.files if file.state in states)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One file as it lies there, before anybody judges it.

    Attributes:
        current: its id, as in `FileStatus`.
        side: which of its known contents that is.
        staged: what the index has.
    """

    current: Oid
    side: Side | None
    staged: Staged


def status(
    patch_set: PatchSet, worktree: Path, *, target: str = MAIN_TARGET, selection: Selection | None = None
) -> TreeStatus:
    """Compare the patched files with the patch set; reads those files only and writes nothing.

    Args:
        patch_set: the set.
        worktree: the tree.
        target: which source tree of the set.
        selection: the layers asked for; None for the required one alone.
    """
    try:
        tree = open_worktree(worktree)
    except TreeStateError as error:
        return TreeStatus(
            state=TreeState.FOREIGN, files=(), worktree=worktree, base=None, interrupted=None,
            detail=error.message,
        )  # fmt: skip
    return examine(tree, patch_set, target, selection)


def examine(
    tree: Worktree, patch_set: PatchSet, target: str, selection: Selection | None = None
) -> TreeStatus:
    """`status` of an open worktree."""
    locked = patch_set.target(target)
    journal = tree.journal.read()
    interrupted = None if journal is None else str(journal.get("operation", "run"))
    fault = base_fault(tree, locked)
    if fault is not None:
        return TreeStatus(
            state=TreeState.WRONG_BASE, files=(), worktree=tree.folder, base=tree.base,
            interrupted=interrupted, detail=fault,
        )  # fmt: skip
    about = known(patch_set, selection, target)
    staged = index_entries(tree, about.sides)
    looks = {path: _look(tree, path, sides, staged) for path, sides in about.sides.items()}
    files = tuple(_judged(tree, about, looks))
    pair = locked.pair_of(tree.base)
    before = written(
        tree, patch_set.tag, target, patched=pair.patched if pair and not about.selection.optional else None,
        posts={path: entry.post for path, entry in about.wanted.items()},
    )  # fmt: skip
    if before:
        files = _outdated(tree, files, before)
    left = {file.path: _left_over(file, about) for file in files if file.path not in {*before, *about.wanted}}
    applied = about.found({path: look.side for path, look in looks.items()})
    elsewhere = applied is not None and applied != about.selection
    if applied is None:
        applied = about.found({path: look.staged.side for path, look in looks.items()})
    state = _whole(files)
    if state is TreeState.PARTIAL and (elsewhere or _stands_at(files, before)):
        state = TreeState.OUTDATED
    return TreeStatus(
        state=state,
        files=files, worktree=tree.folder, base=tree.base, interrupted=interrupted, older={**before, **left},
        asked=about.selection.layers,
        applied=() if applied is None or state is TreeState.PRISTINE else applied.layers,
    )  # fmt: skip


def _look(tree: Worktree, path: RepoPath, sides: Sides, staged: Mapping[RepoPath, Staged]) -> Look:
    file = tree.file(path)
    current = current_oid(file, tree.folder)
    entry = staged.get(path, NOT_STAGED)
    side = sides.named(current, lambda: mode_of(file, entry))
    return Look(current=current, side=side, staged=entry)


def _judged(tree: Worktree, about: Known, looks: Mapping[RepoPath, Look]) -> Iterator[FileStatus]:
    """Every file the layers asked for change, and of the others those that some layer left there."""
    for path, look in looks.items():
        sides = about.sides[path]
        left_staged = look.staged.side in sides.others and look.staged.side != sides.upstream
        left = look.side != sides.upstream and (look.side is not None or left_staged)
        if path in about.wanted or left:
            yield _file_status(tree, path, sides, look)


def _left_over(file: FileStatus, about: Known) -> Entry:
    """What another layer did to a file that the layers asked for leave alone."""
    upstream = about.sides[file.path].upstream
    there = next((side for side in about.sides[file.path].others if side.oid == file.current), upstream)
    return Entry(pre=upstream.oid, post=file.current, modes=(upstream.mode, there.mode))


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


def _stands_at(files: tuple[FileStatus, ...], before: Mapping[RepoPath, Entry]) -> bool:
    """Whether the files are as an earlier version left them, those it did not change as upstream has them."""
    return bool(before) and all(
        before[file.path].post == file.current if file.path in before else file.state is FileState.PRISTINE
        for file in files
    )


def base_fault(tree: Worktree, locked: TargetLock) -> str | None:
    """Why HEAD is not what the patches are made for, or None."""
    if tree.head == locked.commit or locked.pair_of(tree.base) is not None:
        return None
    known = ", ".join(f"{kind} {pair.base[:12]}" for kind, pair in sorted(locked.trees.items()))
    return (
        f"HEAD is the commit {tree.head[:12]} with the tree {tree.base[:12]}; the patches are for the commit "
        f"{locked.commit[:12]} (trees: {known})"
    )


def _file_status(tree: Worktree, path: RepoPath, sides: Sides, look: Look) -> FileStatus:
    current, side = look.current, look.side
    state, detail = FileState.DIRTY, ""
    if current == IN_THE_WAY:
        detail = "a folder or a link is in its place"
    elif look.staged.stage != 0:
        detail = "it is in the middle of a merge"
    elif side == sides.wanted:
        state = FileState.APPLIED
    elif side == sides.upstream and sides.upstream.oid == sides.wanted.oid:
        state = FileState.PRISTINE
    elif not sides.knows(look.staged.oid):
        detail = "other content is staged for it"
    elif side == sides.upstream:
        state = FileState.PRISTINE
    elif side is not None:
        state = FileState.OUTDATED
    elif current == NO_OBJECT:
        state, detail = FileState.MISSING, "it was deleted"
    else:
        detail = _why_dirty(tree.file(path), sides)
    return FileStatus(path=path, state=state, current=current, detail=detail)


def _why_dirty(file: Path, sides: Sides) -> str:
    plain = blob_id(file.read_bytes().replace(b"\r\n", b"\n"))
    if sides.knows(plain):
        return "only its line ends differ: CRLF (git's core.autocrlf?)"
    return "it was edited"


def _whole(files: tuple[FileStatus, ...]) -> TreeState:
    states = {file.state for file in files}
    if FileState.DIRTY in states or FileState.MISSING in states:
        return TreeState.DIRTY
    if FileState.OUTDATED in states:
        return TreeState.OUTDATED
    if states <= {FileState.APPLIED}:
        return TreeState.APPLIED
    if states == {FileState.PRISTINE}:
        return TreeState.PRISTINE
    return TreeState.PARTIAL
