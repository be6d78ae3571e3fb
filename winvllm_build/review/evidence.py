"""What was seen of patched files beyond what tests do each time: compiled, read by a front end, executed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.git import Oid, RepoPath
from winvllm_build.workspace import write_atomic

FILE: Final = "evidence.json"


class Way(Enum):
    """How a patched file was looked at."""

    COMPILED = "compiled"
    """nvcc or the host compiler on Linux took it, or a unit that includes it."""
    FRONT_END = "front end"
    """A front end for Windows took it, or a unit that includes it."""
    EXECUTED = "executed"
    """Its Windows branches ran on Linux."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One occasion.

    Attributes:
        way: how.
        by: with what, for a reader: programs, their versions, architectures.
        files: the patched files, each with the id of the content that was seen.
    """

    way: Way
    by: str
    files: Mapping[RepoPath, Oid]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`evidence.json`; empty where a set has none."""

    seen: tuple[Seen, ...] = ()

    def of(self, path: RepoPath, post: Oid) -> tuple[Seen, ...]:
        """What was seen of a file as the patch makes it; what was seen of an earlier form does not count."""
        return tuple(one for one in self.seen if one.files.get(path) == post)

    def current(self, among: Mapping[RepoPath, Oid]) -> Evidence:
        """Without what was seen of files that the set makes otherwise by now, or not at all."""
        kept = [
            Seen(way=one.way, by=one.by, files={p: i for p, i in one.files.items() if among.get(p) == i})
            for one in self.seen
        ]
        return Evidence(seen=tuple(one for one in kept if one.files))

    def with_seen(self, added: Seen) -> Evidence:
        """With one occasion more; the same way by the same programs is one."""
        same = [one for one in self.seen if (one.way, one.by) == (added.way, added.by)]
        files = {path: oid for one in (*same, added) for path, oid in one.files.items()}
        others = [one for one in self.seen if one not in same]
        return Evidence(seen=(*others, Seen(way=added.way, by=added.by, files=files)))

    def serialise(self) -> bytes:
        """The same bytes for the same content on every machine."""
        ways = list(Way)
        data = {
            "schema": 1,
            "seen": [
                {"way": one.way.value, "by": one.by, "files": dict(sorted(one.files.items()))}
                for one in sorted(self.seen, key=lambda one: (ways.index(one.way), one.by))
            ],
        }
        return json.dumps(data, indent=1).encode("ascii") + b"\n"


def read(folder: Path) -> Evidence:
    """The evidence of a patch set.

    Raises:
        PatchError: the file is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return Evidence()
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return Evidence(seen=tuple(_seen(data["seen"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PatchError(f"{file} is damaged: {error}", fix=f"`git checkout -- {file}`") from error


def write(folder: Path, evidence: Evidence) -> Path:
    """Write it in the order that makes a small diff; the file's path."""
    file = folder / FILE
    write_atomic(file, evidence.serialise())
    return file


def _seen(entries: Iterable[Mapping[str, object]]) -> Iterable[Seen]:
    for entry in entries:
        files = entry["files"]
        if not isinstance(files, dict):
            raise TypeError("`files` is no table")
        yield Seen(
            way=Way(entry["way"]),
            by=str(entry["by"]),
            files={RepoPath(str(path)): Oid(str(oid)) for path, oid in files.items()},
        )
