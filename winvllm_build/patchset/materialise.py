"""Files and index moved from one proven state to another: staged, then renamed, crash-safe throughout."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build import workspace
from winvllm_build.errors import BusyError, StorageError, TreeStateError, WinvllmError
from winvllm_build.git import NO_OBJECT, GitError, Oid, RepoPath
from winvllm_build.patchset.ondisk import current_oid
from winvllm_build.patchset.paths import EXECUTABLE, path_fault
from winvllm_build.patchset.tree import contents
from winvllm_build.patchset.worktree import Worktree

STAGING: Final = "staging"
MOVING: Final = "moving"
OWNER: Final = b"winvllm-build"
"""What an index.lock of ours says."""
LOCK_SECONDS: Final = 2.0
"""How long another git may hold the index before we give up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One file's step; ids are `NO_OBJECT` where there is no file, modes are git's six digits."""

    path: RepoPath
    old: Oid
    new: Oid
    old_mode: str
    new_mode: str


def materialise(tree: Worktree, moves: Sequence[Move], *, operation: str) -> None:
    """Bring files and index to the new side of `moves`, all of them or none.

    The blobs of both sides have to be in the worktree's repository, and the caller holds its lock.

    Raises:
        StorageError: the disk refused; everything is as before.
        TreeStateError: a file was changed meanwhile; everything is as before.
        BusyError: another git works on the index; everything is as before.
    """
    _refuse_foreign_lock(tree)
    blobs = contents(tree.git, [oid for move in moves for oid in (move.old, move.new)])
    folders = _missing_folders(tree, moves)
    tree.journal.begin(_entry(STAGING, operation, moves, folders))
    done: list[Move] = []
    try:
        with workspace.storage_errors(str(tree.folder)):
            for move in moves:
                _stage(tree, move, blobs)
            tree.journal.begin(_entry(MOVING, operation, moves, folders))
            for move in moves:
                _refuse_changed(tree, move)
                done.append(move)
                _move(tree, move)
            _set_index(tree, moves)
    except BaseException as error:
        _roll_back(tree, moves, done, folders, blobs, cause=error)
        raise
    tree.journal.end()


def recover(tree: Worktree) -> str | None:
    """Finish or roll back what a killed run left; says which, None if there was nothing.

    A file that was edited since is left as it is. The caller holds the worktree's lock.
    """
    entry = tree.journal.read()
    remove_leftovers(tree)
    if entry is None:
        return None
    operation = str(entry.get("operation", "run"))
    moves = _moves(entry)
    with workspace.storage_errors(str(tree.folder)):
        for move in moves:
            _staged_file(tree, move.path).unlink(missing_ok=True)
        if entry.get("phase") != MOVING:
            _remove_folders(tree, [str(folder) for folder in entry.get("folders", [])])
            tree.journal.end()
            return f"an interrupted {operation} was rolled back: nothing had been changed"
        blobs = contents(tree.git, [move.new for move in moves])
        finished = [move for move in moves if _finish(tree, move, blobs)]
        _set_index(tree, finished)
    tree.journal.end()
    kept = len(moves) - len(finished)
    edited = f"; {kept} files were edited since and left as they are" if kept else ""
    return f"an interrupted {operation} was finished: {len(finished)} files{edited}"


def set_index(tree: Worktree, moves: Sequence[Move]) -> None:
    """Bring only the index to the new side of `moves`."""
    _refuse_foreign_lock(tree)
    _set_index(tree, moves)


def _entry(phase: str, operation: str, moves: Sequence[Move], folders: Sequence[str]) -> dict[str, Any]:
    return {
        "phase": phase, "operation": operation, "folders": list(folders),
        "moves": [[m.path, m.old, m.new, m.old_mode, m.new_mode] for m in moves],
    }  # fmt: skip


def _moves(entry: Mapping[str, Any]) -> list[Move]:
    found = []
    for path, old, new, old_mode, new_mode in entry.get("moves", []):
        if path_fault(path) is None:
            found.append(
                Move(path=RepoPath(path), old=Oid(old), new=Oid(new), old_mode=old_mode, new_mode=new_mode)
            )
    return found


def _staged_file(tree: Worktree, path: RepoPath) -> Path:
    """A sibling, so that the final rename stays on one file system; its name is found again after a crash."""
    name = hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return tree.file(path).parent / f".winvllm-{name}.part"


def _stage(tree: Worktree, move: Move, blobs: Mapping[Oid, bytes]) -> None:
    if move.new != NO_OBJECT:
        _write(_staged_file(tree, move.path), blobs[move.new], move.new_mode)


def _write(file: Path, content: bytes, mode: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(file, flags, 0o777 if mode == EXECUTABLE else 0o666)
    with os.fdopen(handle, "wb") as opened:
        opened.write(content)


def _refuse_changed(tree: Worktree, move: Move) -> None:
    if current_oid(tree.file(move.path), tree.folder) != move.old:
        raise TreeStateError(
            f"{move.path} was changed by another program while the patches were written; all is as before",
            fix="end that program, then run the same command again",
        )


def _move(tree: Worktree, move: Move) -> None:
    file = tree.file(move.path)
    if move.new != NO_OBJECT:
        workspace.replace(_staged_file(tree, move.path), file)
        return
    file.unlink(missing_ok=True)
    for parent in file.relative_to(tree.folder).parents[:-1]:
        try:
            (tree.folder / parent).rmdir()
        except OSError:
            break


def _finish(tree: Worktree, move: Move, blobs: Mapping[Oid, bytes]) -> bool:
    """Bring one file to the new side; False if it is on neither side."""
    current = current_oid(tree.file(move.path), tree.folder)
    if current not in (move.old, move.new):
        return False
    if current != move.new or move.old == move.new:
        _stage(tree, move, blobs)
        _move(tree, move)
    return True


def _roll_back(
    tree: Worktree, moves: Sequence[Move], done: Sequence[Move], folders: Sequence[str],
    blobs: Mapping[Oid, bytes], *, cause: BaseException,
) -> None:  # fmt: skip
    """Undo; if even that fails the journal stays and the next run finishes."""
    try:
        for move in moves:
            _staged_file(tree, move.path).unlink(missing_ok=True)
        for move in reversed(done):
            back = Move(
                path=move.path, old=move.new, new=move.old, old_mode=move.new_mode, new_mode=move.old_mode
            )
            _finish(tree, back, blobs)
        _remove_folders(tree, folders)
        tree.journal.end()
    except OSError as error:
        raise StorageError(
            f"{cause}; undoing it failed too: {error}",
            fix="free space or make the tree writable, then run the same command again: it finishes the work",
        ) from cause


def _missing_folders(tree: Worktree, moves: Sequence[Move]) -> list[str]:
    """Folders that staging will create, deepest first, relative to the worktree."""
    wanted = {
        parent.as_posix()
        for move in moves
        if move.new != NO_OBJECT
        for parent in tree.file(move.path).relative_to(tree.folder).parents[:-1]
    }
    return sorted((name for name in wanted if not (tree.folder / name).exists()), key=len, reverse=True)


def _remove_folders(tree: Worktree, folders: Sequence[str]) -> None:
    for name in folders:
        if path_fault(name) is None:
            with contextlib.suppress(OSError):
                (tree.folder / name).rmdir()


def _set_index(tree: Worktree, moves: Sequence[Move]) -> None:
    """Put the new side of `moves` into the index, atomically and under git's own lock."""
    if not moves:
        return
    copy = tree.private / f"index-{os.getpid()}"
    records = b"".join(_index_record(move) for move in moves)
    with _index_locked(tree):
        try:
            if tree.index.exists():
                shutil.copy2(tree.index, copy)
            else:
                tree.git.out("read-tree", tree.base, index=copy)
            tree.git.out("update-index", "-z", "--index-info", stdin=records, index=copy)
            tree.git.run("update-index", "-q", "--refresh", index=copy, ok=(0, 1))
            workspace.replace(copy, tree.index)
        except GitError as error:
            raise _index_error(tree, error) from error
        finally:
            copy.unlink(missing_ok=True)


def _index_record(move: Move) -> bytes:
    mode = "0" if move.new == NO_OBJECT else move.new_mode
    return f"{mode} {move.new}\t{move.path}".encode("utf-8", "surrogateescape") + b"\0"


def _index_error(tree: Worktree, error: GitError) -> WinvllmError:
    free = shutil.disk_usage(tree.git_folder).free
    if free < 1 << 20 or not os.access(tree.git_folder, os.W_OK):
        return StorageError(f"cannot write the index of {tree.folder}: {error.message}", fix="free space")
    return error


@contextlib.contextmanager
def _index_locked(tree: Worktree) -> Iterator[None]:
    """Hold git's lock of the index, so that no other git writes it meanwhile."""
    lock = tree.index.with_name("index.lock")
    _refuse_foreign_lock(tree)
    try:
        handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        raise _busy(lock) from None
    try:
        os.write(handle, OWNER)
        os.close(handle)
        yield
    finally:
        lock.unlink(missing_ok=True)


def _refuse_foreign_lock(tree: Worktree) -> None:
    lock = tree.index.with_name("index.lock")
    until = time.monotonic() + LOCK_SECONDS
    while lock.exists():
        if time.monotonic() > until:
            raise _busy(lock)
        time.sleep(0.05)


def _busy(lock: Path) -> BusyError:
    return BusyError(
        f"another git program works on this tree ({lock} exists)",
        fix=f"wait for it; if no git program is running, delete {lock}",
    )


def remove_leftovers(tree: Worktree) -> None:
    """What a killed run of ours leaves in the git folder; nobody else writes these names."""
    for pattern in ("index-*", ".journal.json.*.tmp", ".regen.json.*.tmp"):
        for file in tree.private.glob(pattern):
            file.unlink(missing_ok=True)
    lock = tree.index.with_name("index.lock")
    with contextlib.suppress(OSError):
        if lock.read_bytes() == OWNER:
            lock.unlink()
