"""A patch file: header, one blank line, the exact bytes of one file's diff."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.patchset import diff as diffs
from winvllm_build.patchset import header as headers
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.header import Header, Note

SUFFIX: Final = ".patch"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFile:
    """What one `.patch` file says."""

    header: Header
    diff: Diff

    def serialise(self) -> bytes:
        return self.header.serialise() + b"\n" + self.diff.text

    def findings(self) -> Iterator[str]:
        """What is left to write in the header."""
        return headers.findings(self.header, [hunk.id for hunk in self.diff.hunks])


def split(content: bytes, *, where: str) -> tuple[bytes, bytes]:
    """The header lines and the diff of a patch file.

    Raises:
        PatchError: there is no diff, or something else follows the header.
    """
    if content.startswith(diffs.START):
        return b"", content
    head, blank, diff = content.partition(b"\n\n")
    if not blank or not diff.startswith(diffs.START):
        line = head.count(b"\n") + 3 if blank else 1
        raise PatchError(f"{where}:{line}: expected the header, one blank line, then `diff --git`")
    return head + b"\n", diff


def parse(content: bytes, *, path: str, where: str) -> PatchFile:
    """Read a patch file whose bytes are canonical (see `convert` for others).

    Args:
        content: the whole file.
        path: the file it patches, from the patch file's own location.
        where: the patch file's name, for messages.

    Raises:
        PatchError: malformed or unsafe; file and line are named.
    """
    head, diff = split(content, where=where)
    header = headers.parse(head, where=where)
    first = head.count(b"\n") + 2 if head else 1
    return PatchFile(header=header, diff=diffs.parse(diff, path=path, where=where, first_line=first))


def carried(old: Header, new: Diff) -> Header:
    """`old` as the header of `new`: notes follow their hunks, `?` is filled in order, the rest orphaned."""
    ids = [hunk.id for hunk in new.hunks]
    waiting = [note for note in old.notes if note.hunk != headers.UNKNOWN_HUNK]
    unnamed = [note for note in old.notes if note.hunk == headers.UNKNOWN_HUNK]
    known = {note.hunk for note in waiting}
    revived = [note for note in old.orphans if note.hunk in ids and note.hunk not in known]
    waiting += revived
    notes: list[Note] = []
    for hunk in ids:
        found = next((note for note in waiting if note.hunk == hunk), None)
        if found is not None:
            waiting.remove(found)
            notes.append(found)
        elif unnamed and hunk not in known:
            notes.append(Note(hunk=hunk, why=unnamed.pop(0).why))
    twins = {note.hunk for note in notes}
    orphans = [note for note in old.orphans if note not in revived]
    orphans += [note for note in waiting if note.hunk not in twins] + unnamed
    return old.with_notes(notes, orphans)
