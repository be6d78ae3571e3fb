"""`patchset.toml` as text: values, tables, and the parts of an older one with a person's comments."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
WIDTH: Final = 108
GOES_ON: Final = "#   "
"""How the second line of a comment starts, so that it can be told from another comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One table as it is written; `comments` stand right above its header."""

    name: str
    comments: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join([*self.comments, *self.lines])


def blocks(text: str) -> Mapping[str, Block]:
    """The tables of a manifest by their names (`dependency.cutlass`); none where the text is not TOML."""
    lines = text.replace("\r\n", "\n").split("\n")
    if not _is_toml(lines):
        return {}
    return {name: _block(lines, at, end, name) for name, (at, end) in tables(lines).items()}


def tables(lines: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Each table's header line and the line behind its last, by name.

    A line that looks like a header inside a text or a list is none: what stands before a header is TOML.
    """
    found = [(at, match[2]) for at, line in enumerate(lines) if (match := HEADER.fullmatch(line))]
    starts = [(at, name) for at, name in found if _is_toml(lines[:at])]
    ends = [*(at for at, _ in starts), len(lines)][1:]
    return {name: (at, end) for (at, name), end in zip(starts, ends, strict=False)}


def _block(lines: Sequence[str], at: int, end: int, name: str) -> Block:
    first = at
    while first > 0 and lines[first - 1].startswith("#"):
        first -= 1
    last = end
    while last > at + 1 and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
        last -= 1
    return Block(name=name, comments=tuple(lines[first:at]), lines=tuple(lines[at:last]))


def _is_toml(lines: Sequence[str]) -> bool:
    try:
        tomllib.loads("\n".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def value(content: object) -> str:
    """A text, list of texts or table of texts as TOML."""
    if isinstance(content, Mapping):
        return "{ " + ", ".join(f"{key(name)} = {value(inner)}" for name, inner in content.items()) + " }"
    if isinstance(content, list | tuple):
        return "[" + ", ".join(value(inner) for inner in content) + "]"
    return json.dumps(content, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    return name if BARE.fullmatch(name) else value(name)


def line(name: str, content: object) -> str:
    return f"{key(name)} = {value(content)}"


def listed(name: str, tables: Iterable[Mapping[str, str]]) -> list[str]:
    """A list of tables, one on a line."""
    return [f"{key(name)} = [", *(f"  {value(table)}," for table in tables), "]"]


def comment(text: str) -> list[str]:
    """Comment lines of a readable width; the first is `# ...`, the others start with `GOES_ON`."""
    found = ["#"]
    for word in text.split():
        if len(found[-1]) + len(word) >= WIDTH:
            found.append(GOES_ON + word)
        else:
            found[-1] += f" {word}"
    return found
