"""A wheel opened for reading: what zip archives can hide is found before anything of it is believed."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final

from typing_extensions import Self

from winvllm_build.errors import StorageError, WheelError
from winvllm_build.member_names import MemberNames
from winvllm_build.wheel.finding import Finding, Subject, problem

READABLE: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What pip and uv unpack on every Python."""
CHUNK: Final = 1 << 20
TEMPORARY: Final = "TEMP" if os.name == "nt" else "TMPDIR"
ENCRYPTED: Final = 0x1
IN_MEMORY: Final = 16 << 20
"""Larger members are unpacked into a temporary file and mapped: an extension may be 1 GB."""
UNREADABLE: Final = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)

Content = bytes | mmap.mmap


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One unpacked member; `content` is good until the next one is asked for."""

    name: str
    content: Content
    size: int
    sha256: bytes

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()


class OpenWheel:
    """One wheel file; use it as a context.

    Raises:
        WheelError: no such file, or no zip archive: cut off, damaged, or something else.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            self._zip = zipfile.ZipFile(file)
        except (OSError, *UNREADABLE) as error:
            raise _unreadable(file, error) from error
        self.infos = [info for info in self._zip.infolist() if not info.is_dir()]
        self.names = frozenset(info.filename for info in self.infos)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    @property
    def unpacked(self) -> int:
        """The size of all members in bytes."""
        return sum(info.file_size for info in self.infos)

    def read(self, name: str) -> bytes | None:
        """A small member; None if it is not there, there twice, or damaged."""
        found = [info for info in self.infos if info.filename == name]
        if len(found) != 1 or found[0].file_size > IN_MEMORY:
            return None
        try:
            return self._zip.read(found[0])
        except UNREADABLE:
            return None

    def structure(self) -> Iterator[Finding]:
        """What is wrong with the archive itself: doubles, unsafe names, links, encryption."""
        for name, times in Counter(info.filename for info in self.infos).items():
            if times > 1:
                yield problem(Subject.ARCHIVE, f"is in the archive {times} times", name)
        yield from self._names()
        for info in self.infos:
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                yield problem(Subject.ARCHIVE, "is not a regular file", info.filename)
            if info.flag_bits & ENCRYPTED:
                yield problem(Subject.ARCHIVE, "is encrypted", info.filename)
            if info.compress_type not in READABLE:
                yield problem(Subject.ARCHIVE, "is compressed in a way that pip may not know", info.filename)

    def members(self) -> Iterator[Member | Finding]:
        """Each member unpacked once, or the finding that it cannot be: a wrong checksum, a cut."""
        for info in self.infos:
            if info.flag_bits & ENCRYPTED:
                continue
            try:
                yield from self._member(info)
            except UNREADABLE as error:
                yield problem(Subject.ARCHIVE, f"cannot be unpacked: {error}", info.filename)

    def _member(self, info: zipfile.ZipInfo) -> Iterator[Member]:
        if info.file_size <= IN_MEMORY:
            content = self._zip.read(info)
            yield Member(
                name=info.filename, content=content, size=len(content),
                sha256=hashlib.sha256(content).digest(),
            )  # fmt: skip
            return
        with _aside(info) as file:
            digest = hashlib.sha256()
            with self._zip.open(info) as packed:
                while chunk := packed.read(CHUNK):
                    digest.update(chunk)
                    _keep(file, chunk, info)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                yield Member(name=info.filename, content=mapped, size=len(mapped), sha256=digest.digest())

    def _names(self) -> Iterator[Finding]:
        seen = MemberNames(self.file.name)
        for name in dict.fromkeys(info.orig_filename for info in self.infos):
            fault = seen.fault(name)
            if fault is not None:
                yield problem(Subject.NAMES, f"the name {fault}", name)


def _aside(info: zipfile.ZipInfo) -> IO[bytes]:
    """A file for an unpacked member.

    Raises:
        StorageError: there is no folder for temporary files: that says nothing of the wheel.
    """
    try:
        return tempfile.TemporaryFile(prefix="winvllm-wheel-", buffering=0)
    except OSError as error:
        raise _no_room(info, error) from error


def _keep(file: IO[bytes], chunk: bytes, info: zipfile.ZipInfo) -> None:
    """Write unpacked bytes.

    Raises:
        StorageError: the folder for temporary files takes no more.
    """
    try:
        while chunk:
            chunk = chunk[file.write(chunk) :]
    except OSError as error:
        raise _no_room(info, error) from error


def _no_room(info: zipfile.ZipInfo, error: OSError) -> StorageError:
    where = f"the folder for temporary files ({tempfile.tempdir or 'none'})"
    return StorageError(
        f"{info.filename} cannot be unpacked into {where}: {error.strerror}",
        fix=f"set {TEMPORARY} to a folder with {(info.file_size >> 20) + 1} MB free",
    )


def _unreadable(file: Path, error: Exception) -> WheelError:
    if isinstance(error, FileNotFoundError):
        return WheelError(f"no such file: {file}", fix="give the path of a .whl file")
    if isinstance(error, OSError):
        return WheelError(f"{file} cannot be read: {error.strerror}", fix="give a file that you may read")
    return WheelError(
        f"{file} is no readable wheel: {error}",
        fix="it is cut off or damaged: copy or build it again",
    )
