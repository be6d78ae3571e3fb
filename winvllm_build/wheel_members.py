"""Members of a wheel, each proven by the wheel's RECORD, from a local file or from one read in ranges."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, cast

from typing_extensions import Self

from winvllm_build.errors import SourceError
from winvllm_build.member_names import MemberNames
from winvllm_build.web import RangedFile

LOCAL_HEADER: Final = 30
EXTRA_FIELD: Final = 1024
"""A local header's extra field may be longer than the directory's copy; this much is fetched for it."""
EXECUTE: Final = 0o111
FILE_TYPE: Final = 0o170000
REGULAR: Final = 0o100000


class WheelReader:
    """One open wheel; `prove` comes before `extract`."""

    def __init__(self, filename: str, file: BinaryIO | RangedFile) -> None:
        self._filename = filename
        self._file = file
        self._hashes: dict[str, str] = {}
        try:
            self._zip = zipfile.ZipFile(cast("BinaryIO", file))
        except BaseException as error:
            file.close()
            if isinstance(error, (zipfile.BadZipFile, NotImplementedError)):
                raise self._damaged(str(error)) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def record_sha256(self) -> str:
        return hashlib.sha256(self._record()).hexdigest()

    def prove(self, record_sha256: str) -> None:
        """Take the wheel's RECORD as true if it has the pinned hash.

        Raises:
            SourceError: it has another; both are printed.
        """
        record = self._record()
        found = hashlib.sha256(record).hexdigest()
        if found != record_sha256:
            raise SourceError(
                f"{self._filename}: RECORD is not the pinned one\n"
                f"  pinned sha256 {record_sha256}\n  found  sha256 {found}",
                fix="do not use this file; check which index pip is configured with: `pip config list`",
            )
        for row in csv.reader(io.StringIO(record.decode("utf-8"))):
            if len(row) >= 2 and row[1].startswith("sha256="):  # noqa: PLR2004 - path and hash
                self._hashes[row[0]] = row[1].removeprefix("sha256=")

    def extract(
        self, wanted: Callable[[str], bool], into: Path, *, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        """Write the wanted members below `into`.

        Raises:
            SourceError: none is wanted, a name is unsafe, or a content is not what RECORD says.
        """
        members = [m for m in self._zip.infolist() if not m.is_dir() and wanted(m.filename)]
        if not members:
            raise SourceError(f"{self._filename} has none of the wanted members")
        names = MemberNames(self._filename)
        paths = [names.check(member.orig_filename) for member in members]
        self._have(members, on_bytes)
        made: set[Path] = set()
        for member, path in zip(members, paths, strict=True):
            target = into / path
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            target.write_bytes(self._proven(names, member))
            if member.external_attr >> 16 & EXECUTE:
                target.chmod(0o755)

    def _record(self) -> bytes:
        found = [m for m in self._zip.infolist() if m.filename.endswith(".dist-info/RECORD")]
        if len(found) != 1 or found[0].filename.count("/") != 1:
            raise self._damaged("it has no RECORD")
        self._have(found, None)
        return self._content(found[0])

    def _proven(self, names: MemberNames, member: zipfile.ZipInfo) -> bytes:
        kind = member.external_attr >> 16 & FILE_TYPE
        if kind not in (0, REGULAR):
            raise names.refused(member.filename, "is not a regular file")
        expected = self._hashes.get(member.filename)
        if expected is None:
            raise names.refused(member.filename, "is not listed in RECORD with its sha256")
        content = self._content(member)
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if found != expected:
            raise names.refused(member.filename, f"has sha256 {found}, RECORD says {expected}")
        return content

    def _content(self, member: zipfile.ZipInfo) -> bytes:
        try:
            return self._zip.read(member)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise self._damaged(f"member {member.filename!r}: {error}") from error

    def _have(self, members: list[zipfile.ZipInfo], on_bytes: Callable[[int], None] | None) -> None:
        if isinstance(self._file, RangedFile):
            spans = [
                (
                    m.header_offset,
                    m.header_offset + LOCAL_HEADER + len(m.filename.encode()) + EXTRA_FIELD + m.compress_size,
                )
                for m in members
            ]
            self._file.ensure(spans, on_bytes=on_bytes)

    def _damaged(self, why: str) -> SourceError:
        return SourceError(
            f"{self._filename} is not a readable wheel: {why}",
            fix="check which index pip is configured with: `pip config list`",
        )
