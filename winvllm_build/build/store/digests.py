"""What files hold, by hash; read once while they stay what they are."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.workspace import write_atomic

RACY: Final = 2_000_000_000
"""Nanoseconds. A file that was read sooner after a change may change again within one tick of its clock."""
ASKED: Final = re.compile(rb"__has_include(?:_next)?\s*\(\s*[<\"]([^>\"\n]+)[>\"]")
CLOCK: Final = re.compile(rb"__(?:DATE|TIME|TIMESTAMP)__")
HIDDEN: Final = b".incbin"
SCANNED: Final = 16 << 20
"""Bytes. What is larger is no source."""
KEPT: Final = 50_000
"""Files remembered for the next run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """What changes when a file does, as far as the file system tells."""

    size: int
    modified: int
    changed: int
    number: int

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Stat:
        found = os.stat(path)  # noqa: PTH116 - hot
        changed = found.st_ctime_ns if os.name != "nt" else 0
        return cls(size=found.st_size, modified=found.st_mtime_ns, changed=changed, number=found.st_ino)


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """A file's content.

    Attributes:
        hash: sha256.
        asked: headers it asks for with `__has_include`.
        timed: it mentions `__DATE__`, `__TIME__` or `__TIMESTAMP__`.
        hidden: it has the assembler read files that no dependency file lists.
    """

    hash: str
    asked: tuple[str, ...] = ()
    timed: bool = False
    hidden: bool = False


class Digests:
    """Digests of files, kept by path, size and times; safe to use from several threads."""

    def __init__(self, memory: Path | None = None) -> None:
        """Take over what an earlier run left in the file `memory`."""
        self._memory = memory
        self._known: dict[str, tuple[Stat, Digest]] = {}
        self._new = False
        self._lock = threading.Lock()
        if memory is not None:
            self._load(memory)

    def of(self, path: str) -> Digest:
        """The digest of a file as it is now.

        Raises:
            OSError: it cannot be read.
        """
        stat = Stat.of(path)
        held = self._known.get(path)
        if held is not None and held[0] == stat:
            return held[1]
        return self._read(path)

    def _read(self, path: str) -> Digest:
        for _ in range(5):
            before, now = Stat.of(path), time.time_ns()
            digest = digest_of(path)
            if Stat.of(path) == before:
                if max(before.modified, before.changed) < now - RACY:
                    with self._lock:
                        self._known[path] = (before, digest)
                        self._new = True
                return digest
        raise OSError(f"{path} changes while it is read")

    def _load(self, memory: Path) -> None:
        with suppress(OSError, ValueError, TypeError, KeyError, IndexError):
            for path, (stat, content, asked, flags) in json.loads(memory.read_bytes()).items():
                self._known[path] = (
                    Stat(size=stat[0], modified=stat[1], changed=stat[2], number=stat[3]),
                    Digest(hash=content, asked=tuple(asked), timed=bool(flags & 1), hidden=bool(flags & 2)),
                )

    def save(self) -> None:
        """Leave what is known for the next run; of two runs at once the last one's stays."""
        if self._memory is None or not self._new:
            return
        with self._lock:
            kept = list(self._known.items())[-KEPT:]
        data = {
            path: [
                [stat.size, stat.modified, stat.changed, stat.number],
                digest.hash,
                list(digest.asked),
                digest.timed | digest.hidden << 1,
            ]
            for path, (stat, digest) in kept
        }
        write_atomic(self._memory, json.dumps(data, separators=(",", ":")).encode())
        self._new = False


def digest_of(path: str) -> Digest:
    """Read a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:  # noqa: PTH123 - hot
        first = file.read(SCANNED)
        digest.update(first)
        whole = len(first) < SCANNED
        while not whole and (block := file.read(1 << 20)):
            digest.update(block)
    if not whole or b"\0" in first[:4096]:
        return Digest(hash=digest.hexdigest())
    asked = tuple(sorted({os.fsdecode(found) for found in ASKED.findall(first)}))
    return Digest(
        hash=digest.hexdigest(),
        asked=asked,
        timed=(b"__TIME" in first and CLOCK.search(first) is not None) or b"__DATE__" in first,
        hidden=HIDDEN in first,
    )


def digest_of_text(parts: Iterable[str]) -> str:
    """One digest of many words; no two lists of words have the same."""
    whole = hashlib.sha256()
    for part in parts:
        content = part.encode("utf-8", "surrogateescape")
        whole.update(len(content).to_bytes(8, "little"))
        whole.update(content)
    return whole.hexdigest()
