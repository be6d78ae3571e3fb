"""The folder of a set as a tree object, and back: what a port replaces can be had again, byte for byte."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Final

from winvllm_build.git import EMPTY_TREE, Git, Oid, RepoPath
from winvllm_build.patchset.tree import contents
from winvllm_build.workspace import storage_errors, write_atomic

SAVED: Final = "refs/winvllm/saved"
TEMPORARY: Final = re.compile(r"\..+\.tmp")
"""What a killed write leaves."""
MODE: Final = "100644"


def tree_of(git: Git, folder: Path) -> Oid:
    """Every file below `folder` as a tree object; the empty tree where there is none.

    Raises:
        StorageError: the objects cannot be written, or a file not be read.
    """
    with storage_errors(str(folder)):
        files = _files(folder)
    if not files:
        return EMPTY_TREE
    names = "".join(f"{_quoted(folder / path)}\n" for path in files)
    stdin = names.encode("utf-8", "surrogateescape")
    ids = git.out("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=stdin).decode("ascii").split()
    records = "".join(f"{MODE} {oid}\t{path}\0" for oid, path in zip(ids, files, strict=True))
    with git.temporary_index() as index:
        stdin = records.encode("utf-8", "surrogateescape")
        git.out("update-index", "-z", "--add", "--index-info", stdin=stdin, index=index)
        return Oid(git.line("write-tree", index=index))


def put_back(git: Git, tree: Oid | None, folder: Path) -> None:
    """Make `folder` exactly what `tree` says; None for no folder at all. Run again after a kill, it finishes.

    Raises:
        StorageError: the disk refused.
    """
    wanted = {} if tree is None else git.entries(tree)
    blobs = contents(git, [entry.oid for entry in wanted.values()])
    for path, entry in wanted.items():
        file = folder / path
        with storage_errors(str(file)):
            same = file.is_file() and file.read_bytes() == blobs[entry.oid]
        if not same:
            write_atomic(file, blobs[entry.oid])
    with storage_errors(str(folder)):
        for path in _files(folder, temporary=True):
            if path not in wanted:
                (folder / path).unlink()
        for parent in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
            if not any(parent.iterdir()):
                parent.rmdir()
        if tree is None and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def keep(git: Git, tree: Oid, message: str, *parents: Oid) -> str:
    """A commit of `tree` under a ref of its own that nothing removes; the ref."""
    commit = git.commit_tree(tree, message, parents=parents)
    ref = f"{SAVED}/{time.strftime('%Y%m%d-%H%M%S')}-{commit[:8]}"
    git.out("update-ref", ref, commit)
    return ref


def _files(folder: Path, *, temporary: bool = False) -> list[RepoPath]:
    """The regular files below `folder`; links are left alone."""
    return [
        RepoPath(file.relative_to(folder).as_posix())
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink() and (temporary or not TEMPORARY.fullmatch(file.name))
    ]


def _quoted(file: Path) -> str:
    """As git reads a name that has a line of its own."""
    name = file.as_posix().replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{name}"'
