"""Two versions of a Rust source or Cargo file compared with what only Windows has taken out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from winvllm_build.audit.guard.difference import Line, differences
from winvllm_build.audit.guard.judgement import View

TOKEN: Final = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<word>r(?P<mark>\#*)".*?"(?P=mark) | b?"(?:\\.|[^"\\])*" | b?'(?:\\.|[^'\\])' | '?\w+ | .)""",
    re.VERBOSE | re.DOTALL,
)
WINDOWS: Final = frozenset({
    "windows", 'target_os="windows"', 'target_family="windows"', 'target_env="msvc"', "not(unix)",
    'not(target_os="linux")', 'not(target_family="unix")',
})  # fmt: skip
LINUX: Final = frozenset({
    "unix", 'target_os="linux"', 'target_family="unix"', "not(windows)", 'not(target_os="windows")',
    'not(target_family="windows")', 'not(target_env="msvc")',
})  # fmt: skip
OPEN: Final = {"(": ")", "[": "]", "{": "}"}
TABLE: Final = re.compile(r"^\[\s*target\.(?P<cfg>'[^']*'|\"[^\"]*\"|[^\]]*?)\.[^\]]*\]\s*$")


def view(before: str, after: str) -> View:
    """How Linux sees the change of a `.rs` file: items under `#[cfg(windows)]` are not there."""
    changes = differences(_lines(before), _lines(after))
    return View.of((), changes, left=changes)


def cargo_view(before: str, after: str) -> View:
    """How Linux sees the change of a `Cargo.toml`: tables of `[target.'cfg(windows)']` are not there."""
    changes = differences(_tables(before), _tables(after))
    return View.of((), changes, left=changes)


def _lines(text: str) -> list[Line]:
    tokens = [match["word"] for match in TOKEN.finditer(text) if match["word"]]
    made: list[str] = []
    at = 0
    while at < len(tokens):
        condition, behind = _attribute(tokens, at, "cfg")
        given, behind_given = _attribute(tokens, at, "cfg_attr")
        if condition in WINDOWS:
            at = _item(tokens, behind)
        elif given.partition(",")[0] in WINDOWS:
            at = behind_given
        elif condition in LINUX:
            at = behind
        else:
            made.append(tokens[at])
            at += 1
    return [(token,) for token in made]


def _attribute(tokens: Sequence[str], at: int, name: str) -> tuple[str, int]:
    """What stands in the brackets of `#[name(...)]` at a place, blanks left out, and what follows it."""
    if tuple(tokens[at : at + 4]) != ("#", "[", name, "("):
        return "", at
    end = _closing(tokens, at + 1)
    return "".join(tokens[at + 4 : end - 1]), end + 1


def _closing(tokens: Sequence[str], at: int) -> int:
    """The bracket that closes the one at `at`; the last token if none does."""
    depth = 0
    for index in range(at, len(tokens)):
        depth += (tokens[index] in OPEN) - (tokens[index] in OPEN.values())
        if depth == 0:
            return index
    return len(tokens) - 1


def _item(tokens: Sequence[str], at: int) -> int:
    """Behind the item at a place: its other attributes, and all to its `;`, or to its block's end."""
    while tokens[at : at + 1] == ["#"]:
        at = _closing(tokens, at + 1) + 1
    while at < len(tokens):
        if tokens[at] in (";", ","):
            return at + 1
        if tokens[at] in OPEN.values():
            return at
        if tokens[at] in OPEN:
            end = _closing(tokens, at)
            if tokens[at] == "{":
                return end + (2 if tokens[end + 1 : end + 2] == [";"] else 1)
            at = end
        at += 1
    return at


def _tables(text: str) -> list[Line]:
    """The lines of a TOML file without comments and without tables for Windows."""
    made: list[Line] = []
    skipped = False
    for raw in text.split("\n"):
        line = raw.strip()
        if line.startswith("["):
            table = TABLE.match(line)
            cfg = re.sub(r"\s|^['\"]|['\"]$", "", table["cfg"]) if table else ""
            inner = cfg.removeprefix("cfg(").removesuffix(")") if cfg.startswith("cfg(") else ""
            skipped = inner in WINDOWS or "-pc-windows-" in cfg
        if line and not line.startswith("#") and not skipped:
            made.append((line,))
    return made
