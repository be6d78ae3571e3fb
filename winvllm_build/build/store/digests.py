"""What files hold, by hash; read once while they stay what they are."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from winvllm_build.workspace import write_atomic

POSIX: Final = os.name != "nt"
RACY: Final = 2_000_000_000
"""Nanoseconds. A file that was read sooner after a change may change again within one tick of its clock."""
ASKED: Final = re.compile(rb"__has_include(?:_next)?\s*\(\s*[<\"]([^>\"\n]+)[>\"]")
CLOCK: Final = re.compile(rb"__(?:DATE|TIME|TIMESTAMP)__")
HIDDEN: Final = b".incbin"
SCANNED: Final = 16 << 20
"""Bytes. What is larger is no source."""
KEPT: Final = 50_000
"""Files remembered for the next run."""


class Look(NamedTuple):
    """What changes when a file does, as far as the file system tells; times in nanoseconds."""

    size: int
    modified: int
    changed: int
    number: int


def look_at(path: str) -> Look | None:
    """How a file looks now; None if it cannot be looked at."""
    try:
        return _look(path)
    except OSError:
        return None


def _look(path: str) -> Look:
    found = os.stat(path)  # noqa: PTH116 - hot
    return Look(found.st_size, found.st_mtime_ns, found.st_ctime_ns if POSIX else 0, found.st_ino)


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
        self._known: dict[str, tuple[Look, Digest]] = {}
        self.seen: dict[str, Look | None] = {}
        """How each file looked when it was asked for; None where that is no proof of its content."""
        self._new = False
        self._lock = threading.Lock()
        if memory is not None:
            self._load(memory)

    def of(self, path: str) -> Digest:
        """The digest of a file as it is now.

        Raises:
            OSError: it cannot be read.
        """
        return self.and_look(path)[0]

    def and_look(self, path: str) -> tuple[Digest, Look]:
        """As `of`, with how the file looked before it was read.

        Raises:
            OSError: it cannot be read.
        """
        look = _look(path)
        held = self._known.get(path)
        digest = held[1] if held is not None and held[0] == look else None
        if digest is None:
            digest, look, sure = self._read(path)
        else:
            sure = True
        proof = look if sure else None
        if self.seen.setdefault(path, proof) != proof:
            self.seen[path] = None
        return digest, look

    def _read(self, path: str) -> tuple[Digest, Look, bool]:
        """The digest, and whether it can be kept: a file that has just been written may change unnoticed."""
        for _ in range(5):
            before, now = _look(path), time.time_ns()
            digest = digest_of(path)
            if _look(path) == before:
                sure = max(before.modified, before.changed) < now - RACY
                if sure:
                    with self._lock:
                        self._known[path] = (before, digest)
                        self._new = True
                return digest, before, sure
        raise OSError(errno.EBUSY, "changes while it is read", path)

    def _load(self, memory: Path) -> None:
        with suppress(OSError, ValueError, TypeError, KeyError, IndexError):
            for path, (look, content, asked, flags) in json.loads(memory.read_bytes()).items():
                self._known[path] = (
                    Look(*look),
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
                look,
                digest.hash,
                list(digest.asked),
                digest.timed | digest.hidden << 1,
            ]
            for path, (look, digest) in kept
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


def digest_of_text(parts: Sequence[str]) -> str:
    """One digest of many words; no two lists of words have the same."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
