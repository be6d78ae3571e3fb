"""A patch file read as far as it can be: what is wrong with its form is a finding, not the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.patchset import convert
from winvllm_build.patchset import diff as diffs
from winvllm_build.patchset import header as headers
from winvllm_build.patchset.diff import INDEX, START, Diff
from winvllm_build.patchset.header import Field, Header
from winvllm_build.patchset.patchset import Place
from winvllm_build.review.rules import Finding, Rule, found

TITLE: Final = re.compile(rb"^diff --git [^\n]*", re.MULTILINE)
TAKEN_FOR_DIFF: Final = (b"diff --git", b"@@ -", b"--- ")
SAID: Final = re.compile(r":(?:(\d+):)? ?(.*)", re.DOTALL)
"""A message of the parsers about a nameless file: line and words."""
DIGITS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A header field and the number of its first line."""

    field: Field
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was understood of a patch file.

    Attributes:
        place: where it lies, and so what it is of.
        fields: the header's good fields.
        body: the bytes from `diff --git` on; empty where there is none.
        first: the number of the body's first line.
        diff: the checked diff; None where it is malformed.
        findings: what is wrong with the form.
    """

    place: Place
    fields: tuple[Placed, ...] = ()
    body: bytes = b""
    first: int = 1
    diff: Diff | None = None
    findings: tuple[Finding, ...] = ()
    is_unread: bool = False
    """The file itself could not be read."""

    @property
    def header(self) -> Header:
        return Header(fields=tuple(placed.field for placed in self.fields))

    def line_of(self, name: str, *, nth: int = 0) -> int | None:
        """The line of the `nth` field `name`."""
        lines = [placed.line for placed in self.fields if placed.field.name == name]
        return lines[nth] if nth < len(lines) else None


def read(place: Place, sha256: str | None) -> Reading:
    """Read one patch file.

    Args:
        place: the file.
        sha256: of its canonical diff, where a lock knows it; decides what a CRLF is.
    """
    try:
        raw = place.file.read_bytes()
    except OSError as error:
        return Reading(
            place=place, is_unread=True,
            findings=(found(Rule.STRAY, place.file, f"it cannot be read: {error.strerror}"),),
        )  # fmt: skip
    return _Reader(place, raw, sha256).read()


class _Reader:
    """One file on its way from bytes to a `Reading`."""

    def __init__(self, place: Place, raw: bytes, sha256: str | None) -> None:
        self._place = place
        self._findings: list[Finding] = []
        self._raw = raw
        self._sha256 = sha256

    def read(self) -> Reading:
        content = self._plain()
        cut = self._cut(content)
        head, body = content[:cut], content[cut:]
        first = head.count(b"\n") + 1
        fields = tuple(self._fields(head, has_body=bool(body)))
        diff = self._diff(body, first)
        return Reading(
            place=self._place, fields=fields, body=body, first=first, diff=diff,
            findings=tuple(self._findings),
        )  # fmt: skip

    def _report(self, rule: Rule, message: str, line: int | None = None) -> None:
        self._findings.append(found(rule, self._place.file, message, line))

    def _plain(self) -> bytes:
        """The canonical bytes; where nothing can be made of the file, its bytes with LF line ends."""
        try:
            made = convert.read(self._raw, path=self._place.path, where="", sha256=self._sha256)
        except PatchError:
            content = _roughly(self._raw)
            if content != self._raw:
                self._report(Rule.FORM, "it has CRLF line ends, a byte order mark, or is in UTF-16", 1)
            return content
        if made.content != self._raw:
            words = "; ".join(notice.removeprefix(": ") for notice in made.notices)
            self._report(Rule.FORM, words, 1)
        return made.content

    def _cut(self, content: bytes) -> int:
        """Where the file's own diff begins: its own title, else the first there is, else the end."""
        name = self._place.path.encode("utf-8", "surrogateescape")
        titles = list(TITLE.finditer(content))
        own = START + b"a/" + name + b" b/" + name
        chosen = next((title for title in titles if title[0] == own), titles[0] if titles else None)
        return len(content) if chosen is None else chosen.start()

    def _fields(self, head: bytes, *, has_body: bool) -> Iterator[Placed]:
        """The fields of the header; everything else in it is reported."""
        lines = head.split(b"\n")[:-1] if head.endswith(b"\n") else head.split(b"\n") if head else []
        if has_body and lines and lines[-1] == b"":
            lines = lines[:-1]
        elif has_body and lines:
            self._report(Rule.HEADER, "there is no blank line between header and diff", len(lines))
        seen: set[str] = set()
        for number, chunk in _chunks(lines):
            taken = next((words for words in TAKEN_FOR_DIFF if chunk.startswith(words)), None)
            if taken is not None:
                self._report(Rule.HEADER_DIFF, f"git takes this line for a diff: {_shown(chunk)}", number)
            elif not chunk.strip():
                self._report(Rule.HEADER, "a blank line inside the header", number)
            else:
                yield from self._field(chunk, number, seen)

    def _field(self, chunk: bytes, number: int, seen: set[str]) -> Iterator[Placed]:
        try:
            (field,) = headers.parse(chunk, where="").fields
        except PatchError as error:
            fix = f" ({error.fix})" if error.fix and error.fix.startswith("known:") else ""
            self._report(Rule.HEADER, f"{_words(error)[1]}{fix}", number)
            return
        if field.name in seen and field.name not in headers.REPEATED:
            self._report(Rule.HEADER, f"the field {field.name} is given twice", number)
            return
        seen.add(field.name)
        yield Placed(field=field, line=number)

    def _diff(self, body: bytes, first: int) -> Diff | None:
        before = len(self._findings)
        titles = TITLE.findall(body)
        if len(titles) != 1:
            words = f"{len(titles)} diffs in one file" if titles else "there is no `diff --git`"
            self._report(Rule.ONE_DIFF, words, first if titles else None)
        if titles:
            self._title(titles[0], first)
        self._ids(body, first)
        if len(self._findings) > before:
            return None
        try:
            return diffs.parse(body, path=self._place.path, where="", first_line=first)
        except PatchError as error:
            line, words = _words(error)
            self._report(Rule.DIFF, words, line or first)
            return None

    def _title(self, title: bytes, first: int) -> None:
        named = title[len(START) :]
        own = self._place.path.encode("utf-8", "surrogateescape")
        if named == b"a/" + own + b" b/" + own:
            return
        if not named.strip(b'"').startswith(b"a/") or b" b/" not in named.replace(b'"', b""):
            self._report(Rule.PREFIX, f"the paths lack a/ and b/: {_shown(named)}", first)
        else:
            self._report(Rule.LOCATION, f"the diff is of {_shown(named)}, not of {self._place.path}", first)

    def _ids(self, body: bytes, first: int) -> None:
        for number, line in enumerate(body.split(b"\n"), first):
            if line.startswith((b"@@ ", b"GIT binary")):
                return
            match = INDEX.fullmatch(line)
            if match and (len(match[1]) != DIGITS or len(match[2]) != DIGITS):
                self._report(Rule.SHORT_ID, f"abbreviated ids: {_shown(line)}", number)


def _roughly(raw: bytes) -> bytes:
    """The bytes of a malformed file without what an editor adds."""
    for mark, encoding, _ in convert.BOMS:
        if raw.startswith(mark):
            raw = raw[len(mark) :].decode(encoding, "replace").encode("utf-8", "replace")
            break
    return raw.replace(b"\r\n", b"\n") if raw.partition(b"\n")[0].endswith(b"\r") else raw


def _chunks(lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each line that starts something, with its continuation lines, and its number."""
    start, chunk = 1, b""
    for number, line in enumerate(lines, 1):
        if line.startswith(b" ") and chunk.strip() and not chunk.startswith(TAKEN_FOR_DIFF):
            chunk += line + b"\n"
            continue
        if chunk:
            yield start, chunk
        start, chunk = number, line + b"\n"
    if chunk:
        yield start, chunk


def _words(error: PatchError) -> tuple[int | None, str]:
    match = SAID.fullmatch(error.message)
    if match is None:
        return None, error.message
    return (int(match[1]) if match[1] else None), match[2]


def _shown(line: bytes) -> str:
    return repr(line.strip()[:80].decode("utf-8", "replace"))
