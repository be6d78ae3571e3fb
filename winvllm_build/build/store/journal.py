"""The journal of a build folder: which outputs are finished, and as what; how the last run ended."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.build.store.blobs import sync
from winvllm_build.workspace import write_atomic

NAME: Final = ".winvllm-edges"
SLACK: Final = 2000
"""Lines more than there are outputs, before the journal is written anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An output as its edge left it.

    Attributes:
        command: digest of command, compiler and environment.
        key: as `command`, with the words of response files; the store's name for it.
        variant: the record of the store that holds it; empty if none does.
        size: bytes.
        modified: nanoseconds since the epoch.
        hash: sha256.
    """

    command: str
    key: str
    variant: str
    size: int
    modified: int
    hash: str


class EdgeJournal:
    """Lines appended one by one; what a killed run left half written does not count."""

    def __init__(self, build: Path) -> None:
        self.path = build / NAME
        self._lock = threading.Lock()
        self._handle: int | None = None
        self.done: dict[str, Done] = {}
        self.begun: set[str] = set()
        self.fresh: set[str] = set()
        """Outputs that were finished in this run."""
        self.unclean = False
        self._lines = 0
        self._load()

    def _load(self) -> None:
        try:
            content = self.path.read_bytes()
        except OSError:
            return
        running = False
        for line in content.split(b"\n"):
            entry = _entry(line)
            self._lines += 1
            if entry is None:
                continue
            match entry.get("is"):
                case "run":
                    self.unclean, running = running, True
                case "end":
                    self.unclean = running = False
                case "begun":
                    self.done.pop(entry["output"], None)
                    self.begun.add(entry["output"])
                case "done":
                    self._learn(entry)
                case _:
                    continue
        self.unclean = self.unclean or running

    def _learn(self, entry: dict[str, Any]) -> None:
        with contextlib.suppress(KeyError, TypeError):
            self.done[entry["output"]] = Done(
                command=str(entry["command"]),
                key=str(entry["key"]),
                variant=str(entry["variant"]),
                size=int(entry["size"]),
                modified=int(entry["modified"]),
                hash=str(entry["hash"]),
            )
            self.begun.discard(entry["output"])

    def open(self) -> None:
        """Begin a run.

        Raises:
            OSError: the build folder cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self._lines > 2 * len(self.done) + SLACK:
            lines = [
                _line({"is": "done", "output": name, **asdict(done)}) for name, done in self.done.items()
            ]
            lines += [_line({"is": "begun", "output": name}) for name in sorted(self.begun)]
            write_atomic(self.path, b"".join([_line({"is": "run"}) if self.unclean else b"", *lines]))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self._handle = os.open(self.path, flags, 0o644)
        self._append({"is": "run", "pid": os.getpid(), "at": round(time.time(), 3)}, first=True)

    def begin(self, output: str) -> None:
        """The output is not to be trusted until it is done."""
        with self._lock:
            self.done.pop(output, None)
            self.begun.add(output)
        self._append({"is": "begun", "output": output})

    def finish(self, output: str, done: Done) -> None:
        with self._lock:
            self.done[output] = done
            self.begun.discard(output)
            self.fresh.add(output)
        self._append({"is": "done", "output": output, **asdict(done)})

    def clock(self) -> int:
        """The file system's time now, in nanoseconds: that of the last line."""
        return os.fstat(self._handle).st_mtime_ns if self._handle is not None else 0

    def close(self) -> None:
        """End the run well; to be called when every output is on the disk."""
        if self._handle is not None:
            self._append({"is": "end"})
            os.close(self._handle)
            self._handle = None
            sync(self.path)

    def _append(self, entry: dict[str, Any], *, first: bool = False) -> None:
        if self._handle is not None:
            os.write(self._handle, (b"\n" if first else b"") + _line(entry))


def _line(entry: dict[str, Any]) -> bytes:
    text = json.dumps(entry, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        if int(line[:8], 16) != zlib.crc32(line[9:]):
            return None
        loaded = json.loads(line[9:])
    except ValueError:
        return None
    return loaded if isinstance(loaded, dict) else None
