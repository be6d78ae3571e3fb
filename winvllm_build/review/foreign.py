"""Anyone's patch file, read as far as it says something: git's or diff's, clean or edited by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.patchset.diff import BINARY, EMPTY_BLOB, START, Hunk
from winvllm_build.review.foreign_hunks import RANGE, Body, read_hunk
from winvllm_build.review.foreign_names import Names, is_missing, pair_of, parsed

INDEX: Final = re.compile(rb"index ([0-9a-f]{4,40})\.\.([0-9a-f]{4,40})(?: (\d{6}))?")
MODE: Final = re.compile(rb"(old mode|new mode|new file mode|deleted file mode) (\d{6})")
RENAME: Final = re.compile(rb"(rename|copy) (from|to|old|new) (.+)")
SIMILAR: Final = re.compile(rb"(?:dis)?similarity index (\d+)%")
COMBINED: Final = re.compile(rb"diff --(?:cc|combined) (.+)")
NO_CONTENT: Final = re.compile(rb"Binary files (.+) and (.+) differ")
ONLY: Final = re.compile(rb"Only in (.+?): (.+)")
BLOCK: Final = re.compile(rb"(literal|delta) \d+")
CUT: Final = "what it changes is missing: the patch is cut off there"
CONTEXT_DIFF: Final = re.compile(rb"^\*\*\* .+\r?\n--- .+\r?\n\*{15}", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What a patch says about one file.

    Attributes:
        line: where it starts, from 1.
        names: the file before and after, as they are written.
        modes: before and after, where they are named.
        ids: of the blobs, maybe abbreviated; empty where none are named.
        added: there is no file before.
        deleted: there is none after.
        copied: the file before stays.
        hunks: with counts that fit their lines; the ends of the lines as they are in the patch.
        recounted: the counts in the patch did not fit.
        binary: git's block of binary content.
        crlf: git's own lines end in CRLF: the whole file was converted.
        similar: of a rename, in percent; 100 where nothing else was changed.
        last: nothing follows it, so that a patch that was cut off ends in it.
        fault: why it says too little to be applied.
    """

    line: int
    names: Names
    modes: tuple[str | None, str | None] = (None, None)
    ids: tuple[str, str] = ("", "")
    added: bool = False
    deleted: bool = False
    copied: bool = False
    hunks: tuple[Hunk, ...] = ()
    recounted: bool = False
    binary: bytes = b""
    crlf: bool = False
    similar: int | None = None
    last: bool = False
    fault: str = ""

    @property
    def new_mode(self) -> str | None:
        """The mode the file gets; None where it keeps the one it has (git names it all the same)."""
        return self.modes[1] if self.added or self.modes[0] != self.modes[1] else None


def read(content: bytes, *, where: str) -> tuple[Section, ...]:
    """Every file that a patch is about, in its order.

    Args:
        content: the whole patch; what is not part of a diff (mail, messages, signatures) is passed over.
        where: its name, for messages.

    Raises:
        PatchError: there is no diff in it, or a hunk that belongs to no file.
    """
    found = list(_Reader(content, where).read())
    if not found and CONTEXT_DIFF.search(content):
        raise PatchError(f"{where} is a context diff", fix="make it with `diff -u` or `git diff`")
    if not found:
        raise PatchError(f"there is no diff in {where}", fix="name a file that git diff or diff -u wrote")
    return (*found[:-1], replace(found[-1], last=True))


class _Reader:
    """A cursor over the lines of a patch."""

    def __init__(self, content: bytes, where: str) -> None:
        self._unended = not content.endswith(b"\n")
        self._lines = content.split(b"\n")
        if self._lines[-1] == b"":
            self._lines.pop()
        self._where = where
        self._at = 0

    def read(self) -> Iterator[Section]:
        while self._at < len(self._lines):
            line = self._bare()
            if line.startswith(START):
                yield self._git_section()
            elif self._is_plain_start():
                yield self._plain_section()
            elif RANGE.match(line):
                raise PatchError(
                    f"{self._where}:{self._at + 1}: a hunk that belongs to no file",
                    fix="the `---` and `+++` lines in front of it are missing",
                )
            else:
                yield from self._remark(line)
                self._at += 1

    def _bare(self, ahead: int = 0) -> bytes:
        """A line without its end, CRLF or LF; nothing after the last."""
        at = self._at + ahead
        return self._lines[at].removesuffix(b"\r") if at < len(self._lines) else b""

    def _is_plain_start(self) -> bool:
        return (
            self._bare().startswith(b"--- ")
            and self._bare(1).startswith(b"+++ ")
            and RANGE.match(self._bare(2)) is not None
        )

    def _remark(self, line: bytes) -> Iterator[Section]:
        """Lines outside of a diff that say that something is not in it."""
        if match := COMBINED.fullmatch(line):
            names = Names(old=match[1], new=match[1])
            yield self._faulty(names, "it is the combined diff of a merge; diff against one parent")
        elif match := NO_CONTENT.fullmatch(line):
            names = Names(old=parsed(match[1]), new=parsed(match[2]))
            yield self._faulty(names, "the patch does not hold its binary content")
        elif match := ONLY.fullmatch(line):
            name = match[1] + b"/" + match[2]
            yield self._faulty(Names(old=name, new=name), "its content is not in the patch; use `diff -N`")

    def _faulty(self, names: Names, fault: str) -> Section:
        return Section(line=self._at + 1, names=names, fault=fault)

    def _plain_section(self) -> Section:
        made = Section(
            line=self._at + 1, names=Names(old=b"", new=b""), crlf=self._lines[self._at].endswith(b"\r")
        )
        return self._texts(made)

    def _git_section(self) -> Section:
        title = self._bare()[len(START) :]
        made = Section(line=self._at + 1, names=pair_of(title), crlf=self._lines[self._at].endswith(b"\r"))
        self._at += 1
        while True:
            line = self._bare()
            if self._bare().startswith(b"--- ") and self._bare(1).startswith(b"+++ "):
                return self._texts(made)
            if line == BINARY:
                return self._binary(made)
            if NO_CONTENT.fullmatch(line):
                self._at += 1
                return replace(made, fault="the patch was made without --binary and lacks its content")
            extended = _extended(made, line)
            if extended is None:
                return replace(made, fault=_lacking(made, followed=line.startswith(START)))
            made = extended
            self._at += 1

    def _texts(self, made: Section) -> Section:
        """The names and hunks of a text diff."""
        old, new = self._bare()[4:], self._bare(1)[4:]
        self._at += 2
        hunks: list[Body] = []
        while RANGE.match(self._bare()):
            body = read_hunk(self._lines, self._at)
            self._at = body.end
            hunks.append(body)
        fault = made.fault or next((body.fault for body in hunks if body.fault), "")
        if not hunks:
            fault = CUT
        elif self._unended and self._at >= len(self._lines):
            fault = fault or "the patch ends within a line; add a line end if it is whole"
        gone = hunks[0].empty_sides if len(hunks) == 1 else (False, False)
        return replace(
            made,
            names=replace(made.names, old=parsed(old), new=parsed(new)),
            added=made.added or is_missing(old, empty=gone[0]),
            deleted=made.deleted or is_missing(new, empty=gone[1]),
            hunks=tuple(body.hunk for body in hunks if body.hunk is not None),
            recounted=any(body.recounted for body in hunks),
            fault=fault,
        )

    def _binary(self, made: Section) -> Section:
        """The two blocks git writes, each of encoded lines up to an empty one."""
        first = self._at
        self._at += 1
        while BLOCK.fullmatch(self._bare()):
            while self._bare():
                self._at += 1
            self._at += 1
        lines = [line.removesuffix(b"\r") for line in self._lines[first : self._at]]
        return replace(made, binary=b"\n".join(lines).rstrip(b"\n") + b"\n\n")


def _extended(made: Section, line: bytes) -> Section | None:
    """`made` with what one of git's extended header lines says; None for any other line."""
    if match := MODE.fullmatch(line):
        mode, (before, after) = match[2].decode(), made.modes
        if match[1] in (b"old mode", b"deleted file mode"):
            return replace(made, modes=(mode, after), deleted=match[1].startswith(b"deleted"))
        return replace(made, modes=(before, mode), added=match[1].startswith(b"new file"))
    if match := INDEX.fullmatch(line):
        kept = match[3].decode() if match[3] else None
        modes = (made.modes[0] or kept, made.modes[1] or kept)
        return replace(made, ids=(match[1].decode(), match[2].decode()), modes=modes)
    if match := RENAME.fullmatch(line):
        known, name = made.names.moved or (b"", b""), parsed(match[3])
        moved = (name, known[1]) if match[2] in (b"from", b"old") else (known[0], name)
        return replace(made, names=replace(made.names, moved=moved), copied=match[1] == b"copy")
    if match := SIMILAR.fullmatch(line):
        return replace(made, similar=int(match[1]))
    return None


def _lacking(made: Section, *, followed: bool) -> str:
    """Why a section without lines says too little, as the last of a patch that was cut off does.

    Args:
        made: the section.
        followed: another one starts right below, so it is whole.
    """
    moved, only_mode = made.names.moved, made.modes[0] != made.modes[1] and not (made.added or made.deleted)
    whole = followed
    if moved is not None:
        whole = bool(moved[0] and moved[1]) and made.similar in (None, 100)
    elif made.ids[0]:
        nothing = made.added and EMPTY_BLOB.startswith(made.ids[1])
        whole = nothing or made.deleted or made.ids[0] == made.ids[1]
    elif only_mode:
        whole = None not in made.modes
    return "" if whole else CUT
