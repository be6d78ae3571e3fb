"""Patch files as editors, PowerShell and autocrlf checkouts leave them, back to git's exact bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.git import Oid
from winvllm_build.patchset import patchfile
from winvllm_build.patchset.blob import LINE, proven
from winvllm_build.patchset.diff import Change, Diff
from winvllm_build.patchset.patchfile import PatchFile

BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8", "a UTF-8 byte order mark"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16 (little endian), as PowerShell's > writes"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16 (big endian)"),
)
CONTENT: Final = re.compile(rb"[ +-]")

BlobReader = Callable[[Oid], bytes | None]
"""The content of a blob, or None if it is not at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A patch file in canonical bytes; `notices` say what had to be changed to get there."""

    patch: PatchFile
    content: bytes
    notices: tuple[str, ...]


def read(
    raw: bytes, *, path: str, where: str, sha256: str | None = None, blobs: BlobReader | None = None
) -> Converted:
    """Read a patch file of any of these forms.

    CRLF is ambiguous: the patch may be of a file that has such lines. The form is taken whose diff has the
    locked hash, or which turns the pre blob into the post blob; never one that only looks right.

    Args:
        raw: the whole file.
        path: the file it patches.
        where: its name, for messages.
        sha256: of the canonical diff, where a lock knows it.
        blobs: reads the file it is made for.

    Raises:
        PatchError: malformed in every form; file and line are named.
    """
    content, notices = decoded(raw, where)
    if not _has_crlf_metadata(content):
        patch = patchfile.parse(content, path=path, where=where)
        return Converted(patch=patch, content=content, notices=notices)
    unproven: Converted | None = None
    for form, how in _forms(content):
        try:
            patch = patchfile.parse(form, path=path, where=where)
        except PatchError:
            if unproven is None:
                raise
            continue
        made = Converted(patch=patch, content=form, notices=(*notices, f"{where}: {how}"))
        if _is_proven(patch.diff, sha256, blobs):
            return made
        unproven = unproven or made
    if unproven is None:
        raise PatchError(f"{where}: cannot be read")
    doubt = f"{where}: whether its lines really end in CRLF is not proven; `apply` checks the result"
    return Converted(patch=unproven.patch, content=unproven.content, notices=(*unproven.notices, doubt))


def decoded(raw: bytes, where: str) -> tuple[bytes, tuple[str, ...]]:
    for mark, encoding, name in BOMS:
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        if raw.startswith(mark):
            try:
                text = raw[len(mark) :].decode(encoding, errors)
            except UnicodeDecodeError as error:
                raise PatchError(
                    f"{where}: starts as {name}, but is damaged at byte {error.start}",
                    fix="write it again with `git diff --output=FILE --binary --full-index`",
                ) from error
            return text.encode("utf-8", "surrogateescape"), (f"{where}: converted from {name}",)
    if b"\0" in raw[:4]:
        raise PatchError(
            f"{where}: not text (UTF-16 without a byte order mark?)",
            fix="write it again with `git diff --output=FILE --binary --full-index`",
        )
    return raw, ()


def _has_crlf_metadata(content: bytes) -> bool:
    """The first line is always ours or git's, never a line of the patched file."""
    return content.partition(b"\n")[0].endswith(b"\r")


def _forms(content: bytes) -> Iterator[tuple[bytes, str]]:
    yield content.replace(b"\r\n", b"\n"), "CRLF line ends converted to LF"
    yield (
        b"".join(_plain_metadata(content)),
        "CRLF line ends converted to LF, except those of the patched file",
    )


def _plain_metadata(content: bytes) -> Iterator[bytes]:
    """Each line; CRLF becomes LF unless the line is one of the patched file."""
    inside = False
    for line in LINE.findall(content):
        inside = (inside or line.startswith(b"@@ ")) and not line.startswith(b"diff --git ")
        keeps = inside and CONTENT.match(line) is not None
        yield line if keeps or not line.endswith(b"\r\n") else line[:-2] + b"\n"


def _is_proven(diff: Diff, sha256: str | None, blobs: BlobReader | None) -> bool:
    if sha256 is not None:
        return diff.sha256 == sha256
    if diff.change is Change.ADDED:
        return proven(diff, None)
    if blobs is None or diff.pre is None:
        return False
    return proven(diff, blobs(diff.pre))
