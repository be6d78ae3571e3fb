"""Built files put into a source tree, with a record by which they can be taken out again."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winvllm_build.build import exchange
from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git
from winvllm_build.workspace import sha256_of, storage_errors, write_atomic

BESIDE: Final = ".develop"
"""What the folder of a tree's editable installation adds to the tree's name."""
RECORD: Final = "placed.json"
ASIDE: Final = "aside"
"""Below it what is being copied, and what a program had loaded when it was exchanged."""
SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What lies in a tree because it was put there.

    Attributes:
        files: path in the tree to the sha256 of what was put there.
        replaced: the same of what lay there before; only while files are being put there.
        pythons: the interpreters whose environments the tree is installed into, the latest last.
        version: the version it is installed as.
    """

    files: Mapping[str, str]
    replaced: Mapping[str, str] = field(default_factory=dict)
    pythons: tuple[str, ...] = ()
    version: str = ""

    def knows(self, name: str, found: str | None) -> bool:
        """Whether what was found at a place was put there by us."""
        return found is not None and found in (self.files.get(name), self.replaced.get(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What putting files into a tree came to.

    Attributes:
        files: everything of ours that lies there now, with its sha256.
        written: those that are new or have changed.
        kept: files of the source that the build would have replaced; they are as git has them.
        edited: files of ours that somebody changed since; they are as he left them.
    """

    files: Mapping[str, str]
    written: tuple[str, ...]
    kept: tuple[str, ...]
    edited: tuple[str, ...]


def beside(tree: Path) -> Path:
    """The folder that belongs to a tree's editable installation."""
    return tree.with_name(tree.name + BESIDE)


def names_in(tree: Path) -> frozenset[str]:
    """The files of ours in a tree.

    Raises:
        TreeStateError: the record cannot be read.
    """
    record = read(beside(tree))
    return frozenset(record.files) if record is not None else frozenset()


def read(folder: Path) -> Record | None:
    """The record in a folder, None where there is none.

    Raises:
        TreeStateError: it cannot be read.
    """
    try:
        table = json.loads((folder / RECORD).read_bytes())
        return Record(
            files={str(k): str(v) for k, v in table["files"].items()},
            replaced={str(k): str(v) for k, v in table["replaced"].items()},
            pythons=tuple(str(python) for python in table["pythons"]),
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
    table = {
        "files": dict(sorted(record.files.items())),
        "pythons": list(record.pythons),
        "replaced": dict(sorted(record.replaced.items())),
        "version": record.version,
    }
    with storage_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / RECORD, (json.dumps(table, indent=1) + "\n").encode())


def put(stage: Path, tree: Path, before: Record, note: Callable[[Record], None]) -> Placement:
    """Copy what lies below `stage` into a tree; what an earlier run put there and is no longer built goes.

    A file that lies there already as it was built is not ours: configuring writes some into the tree itself.

    Args:
        stage: the built files, laid out as in the tree.
        tree: the source tree.
        before: what an earlier run put there.
        note: keeps what will be ours; called before the first file is written.

    Raises:
        TreeStateError: a file would replace one that neither git nor we put there.
        StorageError: the disk is full or read-only.
    """
    built = sorted(f.relative_to(stage).as_posix() for f in stage.rglob("*") if f.is_file())
    tracked = frozenset(built) & _listed(tree)
    wanted = {name: sha256_of(stage / name) for name in built if name not in tracked}
    found = {name: digest(tree / name) for name in wanted}
    others = [
        n for n, wish in wanted.items() if found[n] not in (None, wish) and not before.knows(n, found[n])
    ]
    edited = [name for name in others if name in before.files]
    _refuse_foreign(tree, [name for name in others if name not in before.files])
    written = [n for n, wish in wanted.items() if found[n] != wish and n not in edited]
    ours = {n: wish for n, wish in wanted.items() if n in written or (n in before.files and n not in edited)}
    ours |= {name: before.files[name] for name in edited}
    replaced = {name: lies for name in written if (lies := found[name]) is not None}
    note(dataclasses.replace(before, files={**before.files, **ours}, replaced=replaced))
    with storage_errors(str(tree)):
        for name in written:
            exchange.put(stage / name, tree / name, beside(tree) / ASIDE)
    gone = take_out(tree, before, [name for name in before.files if name not in ours])
    kept = sorted(name for name in tracked if digest(stage / name) != digest(tree / name))
    return Placement(files=ours, written=tuple(written), kept=tuple(kept), edited=(*edited, *gone))


def take_out(tree: Path, record: Record, names: Sequence[str]) -> tuple[str, ...]:
    """Remove what was put into a tree; files that were changed since stay, and are returned."""
    stay = []
    with storage_errors(str(tree)):
        for name in names:
            found = digest(tree / name)
            if record.knows(name, found):
                exchange.remove(tree / name, beside(tree) / ASIDE)
                _remove_empty((tree / name).parent, tree)
            elif found is not None:
                stay.append(name)
    exchange.sweep(beside(tree) / ASIDE)
    return tuple(stay)


def _refuse_foreign(tree: Path, names: Sequence[str]) -> None:
    """A file that somebody else put there is theirs, whether git takes notice of it or not."""
    if names:
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        raise TreeStateError(
            f"{tree} has files of somebody's where built ones go: {', '.join(names[:SHOWN])}{more}",
            fix=f"move them out of {tree}",
        )


def _listed(tree: Path) -> frozenset[str]:
    """Files of a tree by git's own list."""
    listed = Git(tree).out("ls-files", "-z")
    return frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name)


def digest(file: Path) -> str | None:
    """The sha256 of a file, None where there is none."""
    try:
        return sha256_of(file)
    except OSError:
        return None


def _remove_empty(folder: Path, tree: Path) -> None:
    while folder != tree and folder.is_relative_to(tree):
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def remove_beside(tree: Path) -> bool:
    """Remove the folder beside a tree; whether nothing of it stays, which a program may have loaded.

    Raises:
        StorageError: it cannot be removed.
    """
    folder = beside(tree)
    if exchange.sweep(folder / ASIDE):
        remove_tree(folder)
        return True
    (folder / RECORD).unlink(missing_ok=True)
    return False


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours; nothing where there is none.

    Raises:
        StorageError: it cannot be removed.
    """
    with storage_errors(str(folder)):
        if folder.is_dir():
            shutil.rmtree(folder)
