"""A log cut into what failed, each part with its messages in the order in which they name the cause."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from winvllm_build.build.diagnosis import chain, lines
from winvllm_build.build.diagnosis.grammar import COMPILERS, status
from winvllm_build.build.diagnosis.grammar_programs import CRASHES, PROGRAMS
from winvllm_build.build.diagnosis.lines import Line
from winvllm_build.build.diagnosis.message import Message, Spot, Weight

FAILED: Final = re.compile(r"^(?:# )?FAILED: (?:\[code=(?P<code>-?\d+)\] )?(?P<outputs>\S.*)$")
STATUS: Final = re.compile(r"^(?:@edge \d+ \d+|\[\d+/\d+\]) ")
COMMAND: Final = re.compile(r'^(?:\$ |: && |cd |cmd\.exe |"|(?:[A-Za-z]:)?[\\/]\S)')
CMAKE: Final = re.compile(
    r"^CMake (?P<word>Error|Warning|Deprecation Warning)(?: \(\w+\))?(?: (?:at|in) (?P<file>\S+?)"
    r"(?::(?P<line>\d+))?(?: \((?P<command>\w+)\))?)?:(?P<text>.*)$"
)
CONFIGURE: Final = re.compile(r"^-- Configuring incomplete, errors occurred")
TRACEBACK: Final = re.compile(r"^Traceback \(most recent call last\):")
FRAME: Final = re.compile(r'^File "(?P<file>[^"]+)", line (?P<line>\d+)')
NEXT: Final = re.compile(r"^(?:--|CMake |ninja|\[\d|\w+: |##)")
"""Where CMake's text without a place has ended."""
HIDDEN: Final = "subcommand failed."
"""What Ninja says after an edge failed."""
CALLS: Final = "Call Stack (most recent call first):"
RECORD_LINES: Final = 8
"""Lines of PowerShell's error record before its id."""
MORE_LINES: Final = 4
"""Lines of an exception's text that are read where the first is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A part of a log that failed: an edge of ninja, or all that stands outside of edges.

    Attributes:
        outputs: what the edge should have made; empty outside of edges.
        command: the command of the edge.
        messages: what was said, in the order of the log.
        first: the messages that name the cause, the best first; never empty.
        text: all of it, as lines.
    """

    outputs: tuple[str, ...]
    command: str
    messages: tuple[Message, ...]
    first: tuple[Message, ...]
    text: str

    @property
    def others(self) -> int:
        """Errors besides the first."""
        causes = [m for m in self.messages if m.weight is Weight.CAUSE]
        return max(0, len({(m.code, m.text, m.spot) for m in causes}) - 1)


@dataclass(slots=True, kw_only=True)
class _Part:
    outputs: tuple[str, ...] = ()
    command: str = ""
    code: str = ""
    lines: list[Line] = field(default_factory=list)
    before: list[Line] = field(default_factory=list)
    """What was printed between the edge's title and the word that it failed: of commands with the console."""


def failures(content: bytes | str) -> tuple[Failure, ...]:
    """What failed according to a log, in its order; empty where nothing did.

    Args:
        content: a log of ninja, MSBuild, pip, CMake, a CI, or of one command; bytes in any code page.
    """
    text = lines.decode(content) if isinstance(content, bytes) else content
    outer, *edges = _parts(lines.outdented(lines.clean(text)))
    read = [_failure(part) for part in edges] if edges else [_failure(outer)]
    return tuple(failure for failure in read if failure is not None)


def _parts(rows: Sequence[Line]) -> list[_Part]:
    """The text outside of failed edges, then one part for each of them."""
    parts = [_Part()]
    current, at, title = parts[0], 0, 0
    while at < len(rows):
        row = rows[at]
        failed = FAILED.match(row.text)
        if failed is not None:
            names = tuple(failed["outputs"].split())
            current = _Part(outputs=names, code=status(failed["code"] or ""), before=parts[0].lines[title:])
            parts.append(current)
            if at + 1 < len(rows) and COMMAND.match(rows[at + 1].text):
                current.command = rows[at + 1].text.removeprefix("$ ")
                at += 1
        elif STATUS.match(row.text) or row.text.startswith("ninja: build stopped"):
            current = parts[0]
            current.lines.append(row)
            title = len(current.lines)
        elif CMAKE.match(row.text):
            block = _block(rows, at)
            current.lines += block
            at += len(block) - 1
        else:
            current.lines.append(row)
        at += 1
    return parts


def _block(rows: Sequence[Line], at: int) -> Sequence[Line]:
    """A message of CMake and its lines, which are deeper; those of one without a place are not."""
    deep = rows[at].indent
    end = next((i for i in range(at + 1, len(rows)) if rows[i].indent <= deep), len(rows))
    if end == at + 1 and rows[at].text.startswith("CMake Error: "):
        last = min(len(rows), end + MORE_LINES)
        end = next((i for i in range(end, last) if NEXT.match(rows[i].text)), last)
    return rows[at:end]


def _failure(part: _Part) -> Failure | None:
    found = list(_messages(part.lines)) or list(_messages(part.before))
    code = part.code
    if CRASHES.fullmatch(code):
        killed = Message(tool="exit", code=code, text=f"the command ended with {code}", weight=Weight.CAUSE)
        found = [killed, *found] if code == "137" else [*found, killed]
    first = _first(found)
    if not first and not part.outputs:
        return None
    if not first:
        last = part.lines[-1] if part.lines else Line(at=0, text="no output", indent=0)
        first = (Message(tool="", code="", text=last.text, weight=Weight.WRAPPER, at=last.at),)
    return Failure(
        outputs=part.outputs,
        command=part.command,
        messages=tuple(found),
        first=first,
        text="\n".join([part.command, *(line.text for line in (*part.before, *part.lines))]),
    )


def _first(found: Sequence[Message]) -> tuple[Message, ...]:
    """The first cause, then what CMake says of it if it stands inside CMake's message; else the wrappers."""
    at = next((i for i, message in enumerate(found) if message.weight is Weight.CAUSE), None)
    hidden = next((i for i, message in enumerate(found) if message.text == HIDDEN), len(found))
    if at is None or hidden < at:  # an edge failed and is not in the log: what follows is its consequence
        return tuple(message for message in found if message.weight is Weight.WRAPPER)
    first = found[at]
    causes = [message for message in found[at + 1 :] if message.weight is Weight.CAUSE]
    around = [message for message in causes if message.tool == "cmake" and message.at < first.at]
    return (first, *around[:1])


def _messages(rows: Sequence[Line]) -> Iterator[Message]:
    """Every message, each with the chain of instantiations around it."""
    at, before = 0, chain.Before()
    while at < len(rows):
        row = rows[at]
        if (header := CMAKE.match(row.text)) is not None:
            block = _block(rows, at)
            if header["word"] == "Error":
                yield from _cmake(header, block)
            at += len(block)
        elif TRACEBACK.match(row.text):
            message, at = _traceback(rows, at)
            if message is not None:
                yield message
        else:
            said = _one(row, rows[max(0, at - RECORD_LINES) : at])
            if said is not None and said.weight is not Weight.NOTE:
                after = chain.after(said, [line.text for line in rows[at + 1 : at + 200]])
                yield replace(said, at=row.at, excerpt=_excerpt(rows, at), chain=(*before.take(said), *after))
            elif said is None:
                before.see(row.text)
            at += 1


def _excerpt(rows: Sequence[Line], at: int) -> str:
    """The line of source below a message; GCC puts its number and a bar before it."""
    below = rows[at + 1] if at + 1 < len(rows) else None
    if below is None or below.indent <= rows[at].indent or below.text.startswith(("detected ", "File ")):
        return ""
    return re.sub(r"^\d+ \|\s*", "", below.text)


def _one(row: Line, earlier: Sequence[Line]) -> Message | None:
    for known in (*COMPILERS, *PROGRAMS):
        message = known(row.text)
        if message is not None:
            if message.tool == "powershell":
                said = " ".join([line.text for line in earlier] + [row.text])
                return replace(message, text=said)
            return message
    if CONFIGURE.match(row.text):
        return Message(tool="cmake", code="", text=row.text, weight=Weight.WRAPPER)
    return None


def _cmake(header: re.Match[str], block: Sequence[Line]) -> Iterator[Message]:
    """What compilers said inside of CMake's message, then CMake's own text."""
    inside = block[1:]
    end = next((i for i, line in enumerate(inside) if line.text.startswith(CALLS)), len(inside))
    if header["command"] != "message" or len(inside) > MORE_LINES:
        for message in _messages(inside[:end]):
            if message.weight is Weight.CAUSE:
                yield message
    text = " ".join([header["text"].strip(), *(line.text for line in inside[:end])]).strip()
    spot = Spot(file=header["file"], line=int(header["line"] or 0)) if header["file"] else None
    yield Message(tool="cmake", code=header["command"] or "", text=text, weight=Weight.CAUSE, spot=spot,
                  at=block[0].at)  # fmt: skip


def _traceback(rows: Sequence[Line], at: int) -> tuple[Message | None, int]:
    """The exception that ends a traceback, at its innermost frame; and where the log goes on."""
    start, spot = rows[at], None
    for i in count(at + 1):
        if i >= len(rows):
            return None, i
        row = rows[i]
        frame = FRAME.match(row.text)
        if frame is not None:
            spot = Spot(file=frame["file"], line=int(frame["line"]))
        elif row.indent <= start.indent:
            break
    said = _one(rows[i], ())
    if said is None or said.weight is Weight.NOTE:
        return None, i
    if said.text == said.code:
        more = " ".join(line.text for line in rows[i + 1 : i + 1 + MORE_LINES])
        said = replace(said, text=more or said.text)
    return replace(said, spot=spot, at=rows[i].at), i + 1
