"""File contents by their sha256: taken in as a hard link, put in place as a copy, never trusted unread."""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from winvllm_build.workspace import replace

BLOCK: Final = 1 << 20
PART: Final = ".part"


class Syncer:
    """Makes files durable behind the build's back, in the order they came."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def later(self, path: Path) -> None:
        """Bring a file and its name to the disk some time from now."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="syncer", daemon=True)
                self._thread.start()
            self._waiting.put(path)

    def finish(self) -> None:
        """Return when all of it is on the disk."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._waiting.put(None)
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while (path := self._waiting.get()) is not None:
            sync(path)


def sync(path: Path) -> None:
    """Bring a file and its name to the disk; a file that has gone meanwhile needs neither."""
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if os.name != "nt":
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


class Blobs:
    """A folder of contents."""

    def __init__(self, root: Path, syncer: Syncer) -> None:
        self.root = root
        self._syncer = syncer

    def path(self, name: str) -> Path:
        return self.root / name[:2] / name

    def take(self, file: Path, *, hash_: str | None = None) -> str:
        """Keep a file's content; its sha256.

        It is linked where the file system can, so it costs no space while the build folder has it.

        Args:
            file: what to keep.
            hash_: its sha256, if that is known.

        Raises:
            OSError: it cannot be read, or the store cannot be written.
        """
        name = hash_ or sha256(file)
        target = self.path(name)
        if _size(target) != file.stat().st_size:  # a torn one is replaced
            with _part_beside(target) as part:
                part.unlink()
                try:
                    os.link(file, part)
                except OSError:
                    _copy(file, part)
                replace(part, target)
            self._syncer.later(target)
        return name

    def put(self, name: str, target: Path, *, executable: bool) -> bool:
        """Write a content to `target` if it is whole; a torn one is dropped.

        It is a copy: a link would share its time with every other build folder that has it, and ninja asks
        for a time later than that of the newest input.

        Raises:
            OSError: the target cannot be written.
        """
        source = self.path(name)
        with _part_beside(target) as part:
            try:
                _copy(source, part)
            except FileNotFoundError:
                return False
            if sha256(part) != name:
                with contextlib.suppress(OSError):
                    source.unlink()
                return False
            part.chmod(0o755 if executable else 0o644)
            replace(part, target)
        self._syncer.later(target)
        return True

    def names(self) -> Iterator[str]:
        """Every content that is there."""
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            yield from sorted(file.name for file in folder.iterdir() if file.suffix != PART)

    def leftovers(self) -> Iterator[Path]:
        """What killed runs left half written."""
        yield from self.root.glob(f"*/*{PART}")


def sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        if os.fstat(opened.fileno()).st_size:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                digest.update(content)
    return digest.hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy in the kernel where it can, which shares the blocks where the file system can."""
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as read, target.open("wb") as file:
        left = os.fstat(read.fileno()).st_size
        try:
            while left and (done := os.copy_file_range(read.fileno(), file.fileno(), left)):
                left -= done
        except OSError:  # between file systems, or not known to this one
            file.seek(0)
            file.truncate()
            read.seek(0)
            shutil.copyfileobj(read, file, BLOCK)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


@contextlib.contextmanager
def _part_beside(target: Path) -> Iterator[Path]:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.", suffix=PART)
    os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)
