"""TOML files as people's editors leave them, with the line of every key."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.profile.problem import KeyPath, Origin, Problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES: Final = 1 << 20
BYTE_ORDER_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
PIECE: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[A-Za-z0-9_-]+"
    r"|[^\S\n]+"
    r"|.",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """A readable file: its table, and the line (from 1) on which each key stands."""

    table: dict[str, Any]
    lines: dict[KeyPath, int]


def read(path: Path, origin: Origin) -> TomlFile | Problem:
    """The file, or what keeps it from being read; BOM, UTF-16 and CRLF of Windows editors are accepted."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return Problem(origin=origin, message=f"cannot be read: {error.strerror}")
    if len(content) > MAX_BYTES:
        return Problem(origin=origin, message="is larger than 1 MiB; this is no profile")
    try:
        text = _decoded(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Problem(origin=origin.at(line), message="is not UTF-8 text; save it as UTF-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return _syntax_problem(str(error), text, origin)
    return TomlFile(table=table, lines=key_lines(text))


def _decoded(content: bytes) -> str:
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding).replace("\r\n", "\n")


def _syntax_problem(message: str, text: str, origin: Origin) -> Problem:
    place = re.search(r"\(at line (\d+), column \d+\)", message)
    line = int(place[1]) if place else max(text.count("\n"), 1)
    said = re.sub(r"\s*\(at [^)]*\)$", "", message)
    lines = text.split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    hint = ""
    if "\\" in written and '"' in written:
        hint = "; write a Windows path with / or in single quotes"
    return Problem(origin=origin.at(line), message=f"is not valid TOML: {said}{hint}")


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line of every table and key of a valid TOML text; keys of inline tables are not listed."""
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, head in _statements(text):
        if head.startswith("["):
            table = _parts(head.strip("[]"))
            lines.setdefault(table, number)
        else:
            key = table + _parts(head)
            lines[key] = number
    return lines


def _parts(dotted: str) -> KeyPath:
    """The parts of a dotted key, quotes and escapes resolved."""
    parts: list[str] = []
    node: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(node, dict):
        key, node = next(iter(node.items()))
        parts.append(key)
    return tuple(parts)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The line and the head of each statement: a `[table]` header, or what stands before the `=`."""
    number, depth, start, head, in_value = 1, 0, 1, "", False
    for match in PIECE.finditer(text):
        piece = match[0]
        if piece == "\n" and depth == 0:
            if head.strip():
                yield start, head.strip()
            head, in_value = "", False
        elif in_value:
            depth += (piece in "[{") - (piece in "]}")
        elif piece == "=":
            in_value = True
        elif not piece.startswith("#"):
            start = start if head.strip() else number
            head += piece
        number += piece.count("\n")
    if head.strip():
        yield start, head.strip()
