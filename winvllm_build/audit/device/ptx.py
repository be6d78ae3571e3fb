"""PTX by its functions: two texts are one program if every entry has the same instructions."""

from __future__ import annotations

import re

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
FUNCTION = re.compile(r"\.(entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)")
VARIABLE = re.compile(
    r"\.(?:global|const|shared|local|texref|surfref|samplerref)\b[^=]*?([\w$]+)\s*(?:\[[^\]]*\]\s*)*(?:=|;|$)"
)
LINE_NUMBERS = (".file", ".loc")
OUTSIDE = "<outside>"
"""Stands for what is in no function and is no variable: the version, the target."""


def functions(text: str) -> dict[str, list[str]]:
    """The lines of each function, from its linkage to its last brace, and of each global variable.

    Comments and line numbers are left out.
    """
    found: dict[str, list[str]] = {OUTSIDE: []}
    name, depth, begun = OUTSIDE, 0, False
    for raw in COMMENT.sub("", text).splitlines():
        line = " ".join(raw.split())
        if not line or line.startswith(LINE_NUMBERS):
            continue
        match = FUNCTION.search(line) if name == OUTSIDE else None
        if match:
            name, begun = f"{match[1]} {match[2]}", False
            found.setdefault(name, [])
        variable = VARIABLE.search(line) if name == OUTSIDE else None
        found.setdefault(f"variable {variable[1]}" if variable else name, []).append(line)
        depth += line.count("{") - line.count("}")
        begun = begun or "{" in line
        ends_declaration = not begun and line.endswith(";")
        if name != OUTSIDE and depth == 0 and (begun or ends_declaration):
            name = OUTSIDE
    return found


def entries(text: str) -> list[str]:
    """The names of the kernels."""
    return [name.removeprefix("entry ") for name in functions(text) if name.startswith("entry ")]


def differing(before: str, after: str) -> list[str]:
    """The functions that are not the same, or not on both sides."""
    old, new = functions(before), functions(after)
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
