"""`patchset.toml` as text: values, tables, and the parts of an older one with a person's comments."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

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
    """The tables of a manifest by their names (`dependency.cutlass`); none where the text is not TOML.

    Whether a line is a header and not part of a value is checked: the tables found have to be the file's.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    starts = [(at, found[2]) for at, line in enumerate(lines) if (found := HEADER.fullmatch(line))]
    tables = {name: block for name, block in _cut(lines, starts) if _is_table(block, name)}
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    return {name: block for name, block in tables.items() if _lookup(content, name)}


def _cut(lines: list[str], starts: list[tuple[int, str]]) -> Iterator[tuple[str, Block]]:
    ends = [at for at, _ in starts[1:]] + [len(lines)]
    for (at, name), end in zip(starts, ends, strict=True):
        first = at
        while first > 0 and lines[first - 1].startswith("#"):
            first -= 1
        last = end
        while last > at + 1 and (not lines[last - 1].strip() or lines[last - 1].startswith("#")):
            last -= 1
        yield name, Block(name=name, comments=tuple(lines[first:at]), lines=tuple(lines[at:last]))


def _is_table(block: Block, name: str) -> bool:
    """Whether the block alone is TOML and holds just this table."""
    try:
        return bool(_lookup(tomllib.loads("\n".join(block.lines)), name))
    except tomllib.TOMLDecodeError:
        return False


def _lookup(content: Mapping[str, Any], name: str) -> bool:
    at: Any = content
    for part in name.split("."):
        if not isinstance(at, dict) or part not in at:
            return False
        at = at[part]
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
