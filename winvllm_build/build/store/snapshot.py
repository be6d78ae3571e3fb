"""What every input of a build looked like when its run ended, so that a run with nothing to do looks once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winvllm_build.build.store.digests import Look, look_at
from winvllm_build.build.store.lookups import time_of
from winvllm_build.workspace import write_atomic

NAME: Final = ".winvllm-inputs"
FORMAT: Final = 1


@dataclass(slots=True)
class Seen:
    """Files and folders as they were looked at in one run; what was seen in two states is in doubt."""

    files: dict[str, Look | None] = field(default_factory=dict)
    folders: dict[str, int | None] = field(default_factory=dict)

    def file(self, path: str, look: Look | None) -> None:
        if self.files.setdefault(path, look) != look:
            self.files[path] = None

    def folder(self, path: str, modified: int | None) -> None:
        if self.folders.setdefault(path, modified) != modified:
            self.folders[path] = None

    def add(self, other: Seen) -> None:
        for path, look in other.files.items():
            self.file(path, look)
        for path, modified in other.folders.items():
            self.folder(path, modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The inputs of the outputs that are covered; only a run that ended well leaves one."""

    outputs: frozenset[str] = frozenset()
    seen: Seen = field(default_factory=Seen)

    def holds(self) -> bool:
        """Whether every file and folder looks as it did."""
        return all(
            look is not None and look_at(path) == look for path, look in self.seen.files.items()
        ) and all(
            modified is not None and time_of(path) == modified for path, modified in self.seen.folders.items()
        )


def read(build: Path) -> Snapshot:
    """The snapshot of a build folder; an empty one if there is none."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        data = json.loads((build / NAME).read_bytes())
        if data["format"] == FORMAT:
            files: Mapping[str, list[int] | None] = data["files"]
            looks = {path: Look(*look) if look is not None else None for path, look in files.items()}
            return Snapshot(
                outputs=frozenset(data["outputs"]), seen=Seen(files=looks, folders=dict(data["folders"]))
            )
    return Snapshot()


def drop(build: Path) -> None:
    """From now on nothing is known of the inputs, until a run ends well.

    Raises:
        OSError: the folder cannot be written.
    """
    (build / NAME).unlink(missing_ok=True)


def write(build: Path, snapshot: Snapshot) -> None:
    """Leave a snapshot for the next run.

    Raises:
        StorageError: the folder cannot be written.
    """
    data = {
        "format": FORMAT,
        "outputs": sorted(snapshot.outputs),
        "files": snapshot.seen.files,
        "folders": snapshot.seen.folders,
    }
    write_atomic(build / NAME, json.dumps(data, separators=(",", ":")).encode())
