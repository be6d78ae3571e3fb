"""Built files put into a source tree, with a record by which they can be taken out again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git
from winvllm_build.workspace import replace, sha256_of, storage_errors, write_atomic

BESIDE: Final = ".develop"
"""What the folder of a tree's editable installation adds to the tree's name."""
RECORD: Final = "placed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What lies in a tree because it was put there.

    Attributes:
        files: path in the tree to the sha256 of what was put there.
        python: the interpreter whose environment the tree is installed into; empty when it is in none.
        version: the version it is installed as.
    """

    files: Mapping[str, str]
    python: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What putting files into a tree came to.

    Attributes:
        files: everything of ours that lies there now, with its sha256.
        written: those that are new or have changed.
        kept: files of the source that the build would have replaced; they are as git has them.
    """

    files: Mapping[str, str]
    written: tuple[str, ...]
    kept: tuple[str, ...]


def read(folder: Path) -> Record | None:
    """The record in a folder, None where there is none.

    Raises:
        TreeStateError: it cannot be read.
    """
    try:
        table = json.loads((folder / RECORD).read_bytes())
        return Record(
            files={str(k): str(v) for k, v in table["files"].items()},
            python=str(table["python"]),
            version=str(table["version"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TreeStateError(
            f"{folder / RECORD} cannot be read: {error}", fix=f"delete {folder} and run the command again"
        ) from error


def write(folder: Path, record: Record) -> None:
    """Keep a record.

    Raises:
        StorageError: it cannot be written.
    """
    table = {"files": dict(sorted(record.files.items())), "python": record.python, "version": record.version}
    with storage_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / RECORD, (json.dumps(table, indent=1) + "\n").encode())


def put(
    stage: Path, tree: Path, before: Mapping[str, str], note: Callable[[Mapping[str, str]], None]
) -> Placement:
    """Copy what lies below `stage` into a tree; what an earlier run put there and is no longer built goes.

    A file that lies there already as it was built is not ours: configuring writes some into the tree itself.

    Args:
        stage: the built files, laid out as in the tree.
        tree: the source tree.
        before: what an earlier run put there.
        note: keeps what will be ours; called before the first file is written.

    Raises:
        TreeStateError: a file would replace one that git neither has nor ignores.
        StorageError: the disk is full or read-only.
    """
    built = sorted(f.relative_to(stage).as_posix() for f in stage.rglob("*") if f.is_file())
    tracked = _tracked(tree, built)
    wanted = {name: sha256_of(stage / name) for name in built if name not in tracked}
    _refuse_foreign(tree, [name for name in wanted if name not in before])
    written = [name for name, wish in wanted.items() if digest(tree / name) != wish]
    ours = {name: wish for name, wish in wanted.items() if name in before or name in written}
    note({**before, **ours})
    with storage_errors(str(tree)):
        for name in written:
            _copy(stage / name, tree / name)
    take_out(tree, {name: old for name, old in before.items() if name not in ours})
    kept = sorted(name for name in tracked if digest(stage / name) != digest(tree / name))
    return Placement(files=ours, written=tuple(written), kept=tuple(kept))


def take_out(tree: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Remove what was put into a tree; files that were changed since stay, and are returned."""
    stay = []
    with storage_errors(str(tree)):
        for name, wanted in files.items():
            found = digest(tree / name)
            if found == wanted:
                (tree / name).unlink()
                _remove_empty((tree / name).parent, tree)
            elif found is not None:
                stay.append(name)
    return tuple(stay)


def _tracked(tree: Path, names: Sequence[str]) -> frozenset[str]:
    return frozenset(names) & _listed(tree)


def _refuse_foreign(tree: Path, names: Sequence[str]) -> None:
    """A file that somebody else put there is theirs, unless git takes no notice of it."""
    foreign = sorted(frozenset(names) & _listed(tree, "--others", "--exclude-standard"))
    if foreign:
        raise TreeStateError(
            f"{tree} has files of somebody's where built ones go: {', '.join(foreign[:5])}",
            fix=f"move them out of {tree}",
        )


def _listed(tree: Path, *which: str) -> frozenset[str]:
    """Files of a tree by git's own list."""
    listed = Git(tree).out("ls-files", "-z", *which)
    return frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name)


def digest(file: Path) -> str | None:
    """The sha256 of a file, None where there is none."""
    try:
        return sha256_of(file)
    except OSError:
        return None


def _copy(source: Path, target: Path) -> None:
    """Under another name first: an extension that a program has loaded is replaced, not written into."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    shutil.copy2(source, part)
    replace(part, target)


def _remove_empty(folder: Path, tree: Path) -> None:
    while folder != tree and folder.is_relative_to(tree):
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours; nothing where there is none.

    Raises:
        StorageError: it cannot be removed.
    """
    with storage_errors(str(folder)):
        if folder.is_dir():
            shutil.rmtree(folder)
