"""What a front end said, line by line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

EDG: Final = re.compile(
    r"^(?P<file>[^\s(][^(]*)\((?P<line>\d+)\): "
    r"(?:catastrophic |fatal )?error(?: (?:#(?P<code>\d+)(?:-D)?|(?P<msvc>C\d+)))?: (?P<text>.+)$"
)
CLANG: Final = re.compile(r"^(?P<file>[^\s:][^:]*):(?P<line>\d+):\d+: (?:fatal )?error: (?P<text>.+)$")
BARE: Final = re.compile(r"^(?:clang[^:]*: |Command-line )?(?:fatal )?error: (?P<text>.+)$", re.IGNORECASE)
COUNTED: Final = re.compile(r"^(\d+) (?:catastrophic )?errors? (?:detected|generated)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An error.

    Attributes:
        file: relative to the tree for files of the tree, `torch/...` and so on for others; empty for what has
            no place.
        line: from 1; 0 where there is no place.
        code: the front end's number of it, where it says one.
        text: in its words.
        source: the line of the file, stripped; empty where unknown.
    """

    file: str
    line: int
    text: str
    code: str = ""
    source: str = ""


def parse(lines: Iterable[str], short: Callable[[str], str] = str) -> tuple[Message, ...]:
    """The errors in the output of `cudafe++`, `cicc`, cl.exe or clang; the same one is told once.

    Args:
        lines: the output.
        short: makes a file's short name.
    """
    found: dict[Message, None] = {}
    for line in lines:
        match = EDG.match(line) or CLANG.match(line)
        bare = None if match else BARE.match(line)
        if match:
            groups = match.groupdict()
            code = groups.get("code") or groups.get("msvc") or ""
            place = short(match["file"].replace("\\", "/"))
            found[Message(file=place, line=int(match["line"]), text=match["text"], code=code)] = None
        elif bare:
            found[Message(file="", line=0, text=bare["text"])] = None
    return tuple(found)


def counted(lines: Iterable[str]) -> int:
    """How many errors the front end itself counted."""
    return sum(int(match[1]) for line in lines if (match := COUNTED.match(line)))
