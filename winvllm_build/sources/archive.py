"""Safe reading of tar and zip archives: regular files and folders, names every system can store, no bombs."""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from winvllm_build.errors import SourceError
from winvllm_build.member_names import MemberNames
from winvllm_build.workspace import staged_folder

EXECUTE: Final = 0o111
FILE_TYPE: Final = 0o170000
REGULAR_FILE: Final = 0o100000
FOLDER: Final = 0o040000
ENCRYPTED: Final = 0x1
BLOCK: Final = 1 << 20
READ_ERRORS: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    UnicodeDecodeError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """More than this is a bomb. The ratio (unpacked to packed bytes) counts only above `ratio_from` bytes."""

    members: int = 200_000
    member_bytes: int = 2 << 30
    total_bytes: int = 8 << 30
    ratio: float = 200.0
    ratio_from: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A regular file of an archive; `path` is relative, checked, with POSIX separators."""

    path: str
    executable: bool
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One header as the archive gives it; `kind` is None for a regular file or a folder."""

    name: str
    size: int
    folder: bool
    executable: bool
    kind: str | None


Read = Callable[[int], bytes]
"""Reads at most so many bytes of one member; it leaves nothing open."""


def members(archive: Path, *, limits: Limits | None = None) -> Generator[Member, None, None]:
    """Every regular file of a tar (plain, gz, bz2, xz) or zip archive, checked as it is read.

    Raises:
        SourceError: the archive is damaged, or a member is unsafe; it is named.
    """
    allowed = limits or Limits()
    with _read_errors(archive):
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield from _checked(archive, _zip_entries(opened), allowed)
        else:
            with tarfile.open(archive, "r:*") as tar:
                yield from _checked(archive, _tar_entries(tar), allowed)
                _read_to_the_end(tar, allowed)


def extract(archive: Path, into: Path, *, strip_root: bool = False, limits: Limits | None = None) -> Path:
    """Write the archive's files below the new folder `into`; on any failure nothing is left.

    Args:
        archive: tar or zip.
        into: the folder to make; it must not exist. The caller holds the lock of its parent.
        strip_root: the archive has one folder at its top, whose content becomes `into`.
        limits: what counts as a bomb.

    Raises:
        SourceError: the archive is damaged or unsafe.
        StorageError: it cannot be written.
    """
    with staged_folder(into) as part:
        made: set[Path] = set()
        with closing(members(archive, limits=limits)) as found:
            for member in without_root(archive, found) if strip_root else found:
                target = part.joinpath(*member.path.split("/"))
                if target.parent not in made:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    made.add(target.parent)
                target.write_bytes(member.content)
                target.chmod(0o755 if member.executable else 0o644)
    return into


def without_root(archive: Path, found: Iterator[Member]) -> Iterator[Member]:
    """The members without the one folder that all of them lie in.

    Raises:
        SourceError: they do not lie in one folder.
    """
    root: str | None = None
    for member in found:
        top, slash, rest = member.path.partition("/")
        if not slash or top != (root or top):
            raise SourceError(
                f"{archive.name}: member {member.path!r} is not in the archive's one top folder"
            )
        root = top
        yield Member(path=rest, executable=member.executable, content=member.content)


def _checked(archive: Path, entries: Iterator[tuple[_Entry, Read]], limits: Limits) -> Iterator[Member]:
    names = MemberNames(archive.name)
    packed = max(1, archive.stat().st_size)
    count = total = 0
    for entry, read in entries:
        path = names.check(entry.name, folder=entry.folder)
        if entry.kind is not None:
            raise names.refused(entry.name, f"is {entry.kind}")
        count += 1
        total += entry.size
        fault = _over_limit(entry.size, count, total, packed, limits)
        if fault is not None:
            raise names.refused(entry.name, fault)
        if entry.folder:
            continue
        content = read(entry.size + 1)
        if len(content) != entry.size:
            raise names.refused(
                entry.name, f"has {len(content)} bytes or more where {entry.size} are announced"
            )
        yield Member(path=path, executable=entry.executable, content=content)
    if count == 0:
        raise SourceError(f"{archive.name} is empty")


def _over_limit(size: int, count: int, total: int, packed: int, limits: Limits) -> str | None:
    if count > limits.members:
        return f"is one of more than {limits.members} members"
    if size > limits.member_bytes:
        return f"is larger than {limits.member_bytes} bytes"
    if total > limits.total_bytes:
        return f"takes the archive over {limits.total_bytes} unpacked bytes"
    if total > limits.ratio_from and total / packed > limits.ratio:
        return f"unpacks to more than {limits.ratio:.0f} times the archive's size"
    return None


def _tar_entries(tar: tarfile.TarFile) -> Iterator[tuple[_Entry, Read]]:
    kinds = {
        tarfile.SYMTYPE: "a symbolic link",
        tarfile.LNKTYPE: "a hard link",
        tarfile.CHRTYPE: "a device",
        tarfile.BLKTYPE: "a device",
        tarfile.FIFOTYPE: "a pipe",
    }
    for info in tar:
        plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE) and not info.issparse()
        kind = None if plain else kinds.get(info.type, "neither a regular file nor a folder")
        entry = _Entry(
            name=info.name,
            size=info.size,
            folder=info.isdir(),
            executable=bool(info.mode & EXECUTE),
            kind=kind,
        )
        yield entry, partial(_read_tar, tar, info)


def _read_tar(tar: tarfile.TarFile, info: tarfile.TarInfo, size: int) -> bytes:
    stream = tar.extractfile(info)
    if stream is None:
        return b""
    with stream:
        return stream.read(size)


def _read_to_the_end(tar: tarfile.TarFile, limits: Limits) -> None:
    """The packed stream's checksum and length lie behind the tar's own end mark, where tarfile stops."""
    if tar.fileobj is None:
        return
    left = limits.total_bytes
    try:
        while left > 0 and (block := tar.fileobj.read(BLOCK)):
            left -= len(block)
    except OSError as error:
        raise tarfile.ReadError(str(error)) from error
    if left <= 0:
        raise tarfile.ReadError(f"more than {limits.total_bytes} bytes follow its last member")


def _zip_entries(opened: zipfile.ZipFile) -> Iterator[tuple[_Entry, Read]]:
    for info in opened.infolist():
        mode = info.external_attr >> 16
        kind = None
        if mode & FILE_TYPE not in (0, REGULAR_FILE, FOLDER):
            kind = "a link or a device"
        elif info.flag_bits & ENCRYPTED:
            kind = "encrypted"
        folder = info.orig_filename.endswith("/")
        entry = _Entry(
            name=info.orig_filename,
            size=info.file_size,
            folder=folder,
            executable=bool(mode & EXECUTE),
            kind=kind,
        )
        yield entry, partial(_read_zip, opened, info)


def _read_zip(opened: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> bytes:
    with opened.open(info) as stream:
        return stream.read(size)


@contextmanager
def _read_errors(archive: Path) -> Iterator[None]:
    fix = "delete it and get it again"
    try:
        yield
    except READ_ERRORS as error:
        raise SourceError(f"{archive.name} is damaged or no archive: {error}", fix=fix) from error
    except FileNotFoundError as error:
        raise SourceError(f"there is no archive {archive}", fix="check the path") from error
