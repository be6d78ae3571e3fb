"""One file's diff in git's own format: exact bytes, checked line by line before git sees them."""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset.paths import mode_fault, path_fault

START: Final = b"diff --git "
RANGE: Final = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(?: [^\n]*)?")
INDEX: Final = re.compile(rb"index ([0-9a-f]+)\.\.([0-9a-f]+)(?: (\d{6}))?")
MODE: Final = re.compile(rb"(old mode|new mode|new file mode|deleted file mode) (\d{6})")
NO_NEWLINE: Final = b"\\ No newline at end of file"
BINARY: Final = b"GIT binary patch"
BINARY_BLOCKS: Final = 2
"""Forward and reverse."""
EMPTY_BLOB: Final = Oid("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
ID_LENGTH: Final = 12


class Change(enum.Enum):
    """What a patch does to its file, in git's letters."""

    ADDED = "A"
    MODIFIED = "M"
    DELETED = "D"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """One hunk: `lines` are its lines without `@@`, `line` its number inside the diff, from 1."""

    line: int
    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[bytes, ...]

    @property
    def id(self) -> str:
        """Survives moved lines and changed context."""
        return fingerprint(self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """A checked diff; `pre` and `post` are None where git names no blob (a change of mode alone)."""

    path: RepoPath
    change: Change
    pre: Oid | None
    post: Oid | None
    modes: tuple[str, str]
    binary: bool
    hunks: tuple[Hunk, ...]
    text: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()

    @property
    def change_id(self) -> str:
        if self.binary:
            return fingerprint_of(self.text[self.text.index(BINARY) :])
        if not self.hunks:
            return fingerprint_of(f"{self.change.value} {self.modes}".encode())
        return fingerprint([line for hunk in self.hunks for line in hunk.lines])


def fingerprint(lines: Sequence[bytes]) -> str:
    """The id of a hunk or change: its added and removed lines only."""
    return fingerprint_of(b"\n".join(line for line in lines if line[:1] in (b"+", b"-")))


def fingerprint_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:ID_LENGTH]


def parse(text: bytes, *, path: str, where: str, first_line: int = 1) -> Diff:
    """Read one `diff --git`.

    Args:
        text: the exact bytes, from `diff --git` to the end of the file.
        path: the file the patch's own location stands for.
        where: the patch file, for messages.
        first_line: number of the diff's first line in that file.

    Raises:
        PatchError: unsafe, incomplete or not in the canonical form; file and line are named.
    """
    try:
        return _read(text, path)
    except PatchError:
        return _Reader(text, path, where, first_line).read()


@lru_cache(maxsize=512)
def _read(text: bytes, path: str) -> Diff:
    """A port reads most diffs twice: from the patch file, and as git exports them."""
    return _Reader(text, path, path, 1).read()


class _Reader:
    """A cursor over the lines of one diff."""

    def __init__(self, text: bytes, path: str, where: str, first_line: int) -> None:
        self._text = text
        self._path = path
        self._name = path.encode("utf-8", "surrogateescape")
        self._where = where
        self._first = first_line
        self._lines = text.split(b"\n")
        self._at = 0
        self._modes: dict[bytes, str] = {}

    def read(self) -> Diff:
        self._title()
        self._read_modes()
        change = self._change()
        pre, post, modes = self._index(change)
        binary = self._line == BINARY
        hunks: tuple[Hunk, ...] = ()
        if binary:
            self._binary()
        elif self._line.startswith(b"--- "):
            self._names(change)
            hunks = self._hunks()
        elif self._line == b"" and self._ends():
            self._bodiless(change, pre, post)
        else:
            raise self._fault(f"{_shown(self._line)} is not part of a git diff")
        return Diff(
            path=RepoPath(self._path), change=change, pre=pre, post=post, modes=modes,
            binary=binary, hunks=hunks, text=self._text,
        )  # fmt: skip

    @property
    def _line(self) -> bytes:
        return self._lines[self._at] if self._at < len(self._lines) else b""

    def _ends(self) -> bool:
        return self._at >= len(self._lines) - 1

    def _fault(self, why: str, *, fix: str | None = None, at: int | None = None) -> PatchError:
        number = self._first + (self._at if at is None else at)
        return PatchError(f"{self._where}:{number}: {why}", fix=fix)

    def _title(self) -> None:
        fault = path_fault(self._path)
        if fault is not None:
            raise self._fault(f"the path {self._path!r} {fault}")
        if self._line == START + b"a/" + self._name + b" b/" + self._name:
            self._at += 1
            return
        if not self._line.startswith(START):
            raise self._fault(f"expected `diff --git`, found {_shown(self._line)}")
        named = self._line[len(START) :]
        inner = named[: len(named) // 2].removeprefix(b"a/").decode("utf-8", "replace").strip('"')
        fault = path_fault(inner)
        if fault is not None:
            raise self._fault(f"the path {inner!r} {fault}")
        raise self._fault(
            f"the diff is of {_shown(named)}, but the patch file lies where {self._path} belongs",
            fix="one file per patch, at <layer>/<target>/<path>.patch, with a/ and b/ before the path",
        )

    def _read_modes(self) -> None:
        while match := MODE.fullmatch(self._line):
            mode = match[2].decode()
            fault = mode_fault(mode)
            if fault is not None:
                raise self._fault(f"{self._path} {fault}; only regular files can be patched")
            if match[1] in self._modes:
                raise self._fault(f"{match[1].decode()} is given twice")
            self._modes[match[1]] = mode
            self._at += 1

    def _change(self) -> Change:
        match sorted(self._modes):
            case [] | [b"new mode", b"old mode"]:
                return Change.MODIFIED
            case [b"new file mode"]:
                return Change.ADDED
            case [b"deleted file mode"]:
                return Change.DELETED
            case _:
                raise self._fault("the mode lines contradict each other")

    def _index(self, change: Change) -> tuple[Oid | None, Oid | None, tuple[str, str]]:
        match = INDEX.fullmatch(self._line)
        if match is None:
            if sorted(self._modes) != [b"new mode", b"old mode"]:
                raise self._fault(f"expected `index <id>..<id>`, found {_shown(self._line)}")
            return None, None, (self._modes[b"old mode"], self._modes[b"new mode"])
        pre, post = Oid(match[1].decode()), Oid(match[2].decode())
        if len(pre) != len(NO_OBJECT) or len(post) != len(NO_OBJECT):
            raise self._fault("the object ids are abbreviated; all 40 digits are needed")
        if (pre == NO_OBJECT) != (change is Change.ADDED) or (post == NO_OBJECT) != (
            change is Change.DELETED
        ):
            raise self._fault("the object ids do not fit the change: an added or deleted file has one id")
        modes = self._mode_pair(change, match[3])
        self._at += 1
        return pre, post, modes

    def _mode_pair(self, change: Change, kept: bytes | None) -> tuple[str, str]:
        if (kept is None) != bool(self._modes):
            raise self._fault("the file mode is missing or given twice")
        if kept is not None:
            fault = mode_fault(kept.decode())
            if fault is not None:
                raise self._fault(f"{self._path} {fault}; only regular files can be patched")
            return kept.decode(), kept.decode()
        match change:
            case Change.ADDED:
                return "000000", self._modes[b"new file mode"]
            case Change.DELETED:
                return self._modes[b"deleted file mode"], "000000"
            case Change.MODIFIED:
                return self._modes[b"old mode"], self._modes[b"new mode"]

    def _names(self, change: Change) -> None:
        tab = b"\t" if b" " in self._name else b""
        old = b"/dev/null" if change is Change.ADDED else b"a/" + self._name + tab
        new = b"/dev/null" if change is Change.DELETED else b"b/" + self._name + tab
        for expected in (b"--- " + old, b"+++ " + new):
            if self._line != expected:
                raise self._fault(f"expected {_shown(expected)}, found {_shown(self._line)}")
            self._at += 1

    def _hunks(self) -> tuple[Hunk, ...]:
        if not self._text.endswith(b"\n"):
            raise self._fault("the last line has no end: the patch is truncated", at=len(self._lines) - 1)
        hunks: list[Hunk] = []
        shift, free = 0, 1
        while not self._ends():
            at = self._at
            hunk = self._hunk()
            old = hunk.old_start + (hunk.old_count == 0)
            new = hunk.new_start + (hunk.new_count == 0)
            if old < free:
                raise self._fault("this hunk starts before the end of the one above: reordered?", at=at)
            if new - old != shift:
                raise self._fault(
                    "the line numbers do not follow from the hunks above: one is missing?", at=at
                )
            shift += hunk.new_count - hunk.old_count
            free = old + hunk.old_count
            hunks.append(hunk)
        if not hunks:
            raise self._fault("there are no hunks: the patch is truncated")
        return tuple(hunks)

    def _hunk(self) -> Hunk:
        at = self._at
        match = RANGE.fullmatch(self._line)
        if match is None:
            second = "; one file per patch" if self._line.startswith(START) else ""
            raise self._fault(f"expected a hunk (`@@ -`), found {_shown(self._line)}{second}")
        old_start, new_start = int(match[1]), int(match[3])
        old_count, new_count = (1 if count is None else int(count) for count in (match[2], match[4]))
        self._at += 1
        self._body(old_count, new_count, at)
        return Hunk(
            line=at + 1, old_start=old_start, old_count=old_count, new_start=new_start,
            new_count=new_count, lines=tuple(self._lines[at + 1 : self._at]),
        )  # fmt: skip

    def _body(self, old: int, new: int, start: int) -> None:
        """Step over the lines that the counts of the hunk at `start` promise."""
        changed = False
        while old > 0 or new > 0:
            line = self._line
            kind = line[:1]
            if self._ends():
                raise self._fault(f"the hunk of line {self._first + start} ends too early: truncated?")
            if kind not in (b" ", b"+", b"-", b"\\"):
                raise self._fault(
                    f"{_shown(line)} cannot stand in a hunk (the hunk of line {self._first + start} "
                    "is shorter than its counts say, or an editor removed trailing blanks)"
                )
            if kind == b"\\":
                self._no_newline(start)
                continue
            old -= kind in (b" ", b"-")
            new -= kind in (b" ", b"+")
            changed = changed or kind != b" "
            self._at += 1
        if old < 0 or new < 0:
            raise self._fault(f"the hunk of line {self._first + start} is longer than its counts say")
        if not changed:
            raise self._fault("this hunk changes nothing", at=start)
        if self._line[:1] == b"\\":
            self._no_newline(start)
        if self._line[:1] in (b" ", b"+", b"-"):
            raise self._fault(f"the hunk of line {self._first + start} is longer than its counts say")

    def _no_newline(self, start: int) -> None:
        if self._line != NO_NEWLINE or self._at <= start + 1:
            raise self._fault(f"{_shown(self._line)} cannot stand here")
        self._at += 1

    def _binary(self) -> None:
        if not self._text.endswith(b"\n\n"):
            raise self._fault("the binary patch is truncated", at=len(self._lines) - 1)
        if self._text.count(b"\nliteral ") + self._text.count(b"\ndelta ") != BINARY_BLOCKS:
            raise self._fault("a binary patch has two blocks, forward and reverse")
        if b"\n" + START in self._text:
            raise self._fault("there is a second `diff --git`; one file per patch")

    def _bodiless(self, change: Change, pre: Oid | None, post: Oid | None) -> None:
        if not self._text.endswith(b"\n"):
            raise self._fault("the last line has no end: the patch is truncated")
        if change is Change.MODIFIED and pre is not None:
            raise self._fault("the hunks are missing: the patch is truncated")
        if (post if change is Change.ADDED else pre) not in (None, EMPTY_BLOB):
            raise self._fault("the content is missing: the patch is truncated")


def _shown(line: bytes) -> str:
    return repr(line[:80].decode("utf-8", "replace"))
