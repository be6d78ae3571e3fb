"""GCC's assembly by its symbols: two texts are one program if every symbol has the same lines."""

from __future__ import annotations

import re
from typing import Final

COMMENT: Final = re.compile(r"\s#[^\"]*$|^#.*$")
LABEL: Final = re.compile(r"^([\w.$@]+):")
CONSTANT: Final = re.compile(r"\.LC\d+")
LOCAL: Final = re.compile(r"\.L[A-Z]*\d+")
LINKAGE: Final = (".globl", ".weak", ".type", ".hidden", ".comm", ".local", ".set", ".symver", ".protected")
SILENT: Final = (
    ".file",
    ".loc",
    ".ident",
    ".size",
    ".text",
    ".data",
    ".bss",
    ".section",
    ".p2align",
    ".align",
)
NAMED: Final = re.compile(r"\.\w+\s+([\w.$@]+)")


def symbols(text: str) -> dict[str, tuple[str, ...]]:
    """The lines of each symbol, its linkage first.

    Constants stand where they are used, local labels are counted anew.
    """
    lines = [line for line in (COMMENT.sub("", raw).strip() for raw in text.splitlines()) if line]
    constants = _constants(lines)
    found: dict[str, list[str]] = {}
    linkage: dict[str, set[str]] = {}
    current: list[str] = []
    for line in lines:
        match = LABEL.match(line)
        if match and not match[1].startswith(".L"):
            current = found.setdefault(match[1], [])
        elif line.startswith(LINKAGE):
            named = NAMED.match(line)
            linkage.setdefault(named[1] if named else line, set()).add(" ".join(line.split()))
        elif not line.startswith(SILENT):
            current.append(" ".join(line.split()))
    return {
        name: (*sorted(linkage.get(name, ())), *_renumbered(found.get(name, []), constants))
        for name in {*found, *linkage}
    }


def differing(before: str, after: str) -> list[str]:
    """The symbols that are not the same, or not on both sides."""
    if before == after:
        return []
    old, new = symbols(before), symbols(after)
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def _constants(lines: list[str]) -> dict[str, str]:
    """What each entry of the pool of constants holds."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in lines:
        match = LABEL.match(line)
        if match:
            current = found.setdefault(match[1], []) if CONSTANT.fullmatch(match[1]) else None
        elif current is not None:
            if line.startswith((".section", ".text", ".data")):
                current = None
            elif not line.startswith(SILENT):
                current.append(" ".join(line.split()))
    return {name: "|".join(body) for name, body in found.items()}


def _renumbered(body: list[str], constants: dict[str, str]) -> tuple[str, ...]:
    names: dict[str, str] = {}

    def named(match: re.Match[str]) -> str:
        if match[0] in constants:
            return f"<{constants[match[0]]}>"
        return names.setdefault(match[0], f".L{len(names)}")

    kept: list[str] = []
    pooled = False
    for line in body:
        label = LABEL.match(line)
        if label:
            pooled = CONSTANT.fullmatch(label[1]) is not None
        if not pooled:
            kept.append(LOCAL.sub(named, line))
    return tuple(kept)
