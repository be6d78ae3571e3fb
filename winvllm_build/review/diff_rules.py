"""What the lines of a diff must not bring into a file; the diff alone is read, whether well formed or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from winvllm_build.review.reading import Reading
from winvllm_build.review.rules import MOST_LINES, Finding, Rule, found

INDENT: Final = re.compile(rb"[ \t]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a hunk: its number in the patch file, its sign, its text, and whether it ends in CRLF.

    `ended` is false for a last line without an end.
    """

    number: int
    sign: bytes
    text: bytes
    crlf: bool
    ended: bool = True

    @property
    def is_added(self) -> bool:
        return self.sign == b"+"

    @property
    def indent(self) -> bytes:
        match = INDENT.match(self.text)
        return match[0] if match and match[0] != self.text else b""


def check(reading: Reading) -> Iterator[Finding]:
    """Every rule about one diff's lines."""
    lines = list(lines_of(reading.body, reading.first))
    yield from _large(reading, lines)
    yield from _trailing(reading, lines)
    yield from _line_ends(reading, lines)
    yield from _indents(reading, lines)


def lines_of(body: bytes, first: int) -> Iterator[Line]:
    """The lines of all hunks; what stands before the first is left out, a binary diff has none."""
    inside = False
    raw = body.split(b"\n")
    for position, line in enumerate(raw):
        if line.startswith((b"@@ ", b"diff --git ")):
            inside = line.startswith(b"@@ ")
        elif inside and line[:1] in (b" ", b"+", b"-"):
            after = raw[position + 1] if position + 1 < len(raw) else b""
            crlf = line.endswith(b"\r")
            yield Line(
                number=first + position, sign=line[:1], text=line[1:-1] if crlf else line[1:], crlf=crlf,
                ended=not after.startswith(b"\\"),
            )  # fmt: skip


def _large(reading: Reading, lines: list[Line]) -> Iterator[Finding]:
    changed = sum(line.sign != b" " for line in lines)
    if changed > MOST_LINES and not (reading.header.get("Large-Ok") or "").strip():
        yield found(Rule.LARGE, reading.place.file, f"{changed} changed lines", reading.first)


def _trailing(reading: Reading, lines: list[Line]) -> Iterator[Finding]:
    """Added lines that end in white space, unless they replace lines that did so."""
    spare = 0
    for before, line in zip([None, *lines], lines, strict=False):
        if before is None or line.sign == b" " or (before.is_added and not line.is_added):
            spare = 0
        if line.text.rstrip(b" \t\x0b\x0c") == line.text:
            continue
        if line.sign == b"-":
            spare += 1
        elif line.is_added and spare:
            spare -= 1
        elif line.is_added:
            yield found(Rule.TRAILING, reading.place.file, "trailing white space is added", line.number)


def _line_ends(reading: Reading, lines: list[Line]) -> Iterator[Finding]:
    """Added lines that end otherwise than all others of the file that can be seen."""
    old = {line.crlf for line in lines if line.ended and not line.is_added}
    added = [line for line in lines if line.ended and line.is_added]
    if not old and len({line.crlf for line in added}) > 1:
        odd = next(line for line in added if line.crlf != added[0].crlf)
        yield found(Rule.LINE_ENDS, reading.place.file, "a new file with LF and CRLF", odd.number)
    if len(old) != 1:
        return
    (crlf,) = old
    wrong = [line for line in added if line.crlf != crlf]
    if wrong:
        words = "LF in a file with CRLF" if crlf else "CRLF in a file with LF"
        yield found(Rule.LINE_ENDS, reading.place.file, f"{words}: {len(wrong)} lines", wrong[0].number)


def _indents(reading: Reading, lines: list[Line]) -> Iterator[Finding]:
    """Added lines indented with what no other line that can be seen is indented with."""
    old = {byte for line in lines if not line.is_added for byte in line.indent}
    added = [line for line in lines if line.is_added]
    if not any(not line.is_added for line in lines) and added:
        old = set(next((line.indent for line in added if line.indent), b""))
    if len(old) != 1:
        return
    wrong = [line for line in added if set(line.indent) - old]
    if wrong:
        words = "tabs where the file has blanks" if old == {0x20} else "blanks where the file has tabs"
        yield found(Rule.INDENT, reading.place.file, f"{words}: {len(wrong)} lines", wrong[0].number)
