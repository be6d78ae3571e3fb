"""Checks of batch files: their bytes, and what cmd.exe makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from winvllm_build.audit.scripts.batch_text import Batch, inner, logical_lines, read
from winvllm_build.audit.scripts.rules import Finding, Rule

MARKS: Final = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-8 and UTF-16."""
LONGEST: Final = 8191
"""Characters of a command line: Microsoft, "Command prompt line string limitation"."""
PATH_OF: Final = re.compile(r"%%?~[a-z$]*[fdp][a-z$]*[0-9*a-z]", re.IGNORECASE)
LEVEL: Final = re.compile(r"%errorlevel%", re.IGNORECASE)


def check(path: str, content: bytes) -> tuple[Finding, ...]:
    """What is wrong with a batch file, by line."""
    found = list(_bytes(path, content))
    if any(one.rule is Rule.BOM for one in found) and b"\0" in content:
        return tuple(found)
    text = content.decode("utf-8-sig", "replace")
    found.extend(_long(path, text))
    batch = read(text)
    found.extend(
        Finding(rule=Rule.PAREN, path=path, line=line, detail=trouble.value)
        for line, trouble in batch.troubles
    )
    found.extend(_commands(path, batch))
    return tuple(sorted(found, key=lambda one: (one.line, one.rule.value.id)))


def marked(content: bytes) -> bool:
    """Whether a file begins with a byte order mark."""
    return content.startswith(MARKS)


def foreign_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """The lines with characters outside ASCII, and the first of them."""
    for number, line in enumerate(content.decode("utf-8-sig", "replace").split("\n"), 1):
        odd = [char for char in line if not char.isascii()]
        if odd:
            yield number, f"U+{ord(odd[0]):04X}"


def _bytes(path: str, content: bytes) -> Iterator[Finding]:
    lines = content.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        if not line.endswith(b"\r"):
            yield Finding(rule=Rule.LINE_ENDS, path=path, line=number, detail="ends in LF, not in CRLF")
            break
    if marked(content):
        yield Finding(rule=Rule.BOM, path=path, line=1, detail="begins with a byte order mark")
    for number, char in foreign_lines(content):
        yield Finding(rule=Rule.ENCODING, path=path, line=number, detail=char)


def _long(path: str, text: str) -> Iterator[Finding]:
    for number, line in logical_lines(text):
        if len(line) > LONGEST:
            yield Finding(rule=Rule.LONG_LINE, path=path, line=number, detail=f"{len(line)} characters")


def _commands(path: str, batch: Batch) -> Iterator[Finding]:
    chains: dict[tuple[int, int], str] = {}
    for command in batch.commands:
        place = (command.line, command.depth)
        chain = chains.get(place, "") if command.before else ""
        if command.before == "||" and "&&" in chain.split():
            yield Finding(rule=Rule.AND_OR, path=path, line=command.line, detail=_short(command.words))
        chains[place] = f"{chain} {command.before}"
        for match in PATH_OF.finditer(command.bare):
            yield Finding(rule=Rule.QUOTING, path=path, line=command.line, detail=match[0])
        if command.depth and LEVEL.search(" ".join(command.words)):
            yield Finding(rule=Rule.STALE_LEVEL, path=path, line=command.line, detail=_short(command.words))
        if _ends_the_window([word.lower() for word in command.words]):
            yield Finding(rule=Rule.EXIT_WINDOW, path=path, line=command.line, detail=_short(command.words))


def _ends_the_window(words: list[str]) -> bool:
    own = inner(words) or [""]
    return own[0] == "exit" and "/b" not in own


def _short(words: tuple[str, ...]) -> str:
    text = " ".join(words)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - a column's width
