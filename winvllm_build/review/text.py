"""What a person reads of a patch: lines with a meaning, safe for any terminal; never bytes for git."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from winvllm_build.legible import harmless

__all__ = ["Line", "Look", "field_lines", "harmless", "look_of", "shown"]


class Look(enum.Enum):
    """What a line is; the terminal's colours follow it."""

    TITLE = "title"
    FIELD = "field"
    REASON = "reason"
    MISSING = "missing"
    RANGE = "range"
    ADDED = "added"
    REMOVED = "removed"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a page."""

    look: Look
    text: str


def shown(content: bytes) -> str:
    """One line as text: bytes that are no UTF-8 and control characters are written out."""
    return harmless(content.decode("utf-8", "backslashreplace"))


def look_of(line: bytes) -> Look:
    """Of a line of a hunk."""
    return {b"+": Look.ADDED, b"-": Look.REMOVED}.get(line[:1], Look.CONTEXT)


def field_lines(fields: Iterable[tuple[str, str]], *, indent: str = "  ") -> list[Line]:
    """Header fields in two columns, the lines of a value below each other."""
    listed = list(fields)
    width = max((len(name) for name, _ in listed), default=0)
    made = []
    for name, value in listed:
        first, *more = value.split("\n")
        made.append(Line(look=Look.FIELD, text=f"{indent}{name:<{width}}  {harmless(first)}".rstrip()))
        blank = " " * (len(indent) + width + 2)
        made += [Line(look=Look.FIELD, text=f"{blank}{harmless(line)}".rstrip()) for line in more]
    return made
