"""Import lines that both sides added at one place of a Python file: their order means nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Final

from winvllm_build.port.regions import Region

IMPORT: Final = re.compile(rb"(import|from) ([\w.]+)[^()\\]*\r?\n")
"""A whole import statement on one line that is not indented."""

STATEMENT: Final = re.compile(rb"^(?:import|from) [^\n]*", re.MULTILINE)


def united(region: Region) -> tuple[bytes, ...] | None:
    """Upstream's imports with those the patch adds; None where a side does anything else."""
    if not all(_is_import(line) for side in (region.base, region.ours, region.theirs) for line in side):
        return None
    added = [line for line in region.theirs if line not in region.base]
    if not added or [line for line in region.theirs if line not in added] != list(region.base):
        return None
    made = list(region.ours)
    for line in added:
        if line not in made:
            made.insert(_place(made, line), line)
    return tuple(made)


def imports_of(content: bytes) -> set[bytes]:
    """The first line of every import statement that is not indented."""
    return {match[0].rstrip() for match in STATEMENT.finditer(content)}


def is_python(content: bytes) -> bool:
    try:
        ast.parse(content)
    except (SyntaxError, ValueError):
        return False
    return True


def _is_import(line: bytes) -> bool:
    return IMPORT.fullmatch(line) is not None or not line.strip()


def _place(lines: Sequence[bytes], new: bytes) -> int:
    """Before the first line that sorts behind `new`: plain imports first, then by module."""
    wanted = _order(new)
    for at, line in enumerate(lines):
        if line.strip() and _order(line) > wanted:
            return at
    return len(lines) if all(line.strip() for line in lines) else _before_blanks(lines)


def _before_blanks(lines: Sequence[bytes]) -> int:
    return max((at + 1 for at, line in enumerate(lines) if line.strip()), default=0)


def _order(line: bytes) -> tuple[bool, bytes]:
    match = IMPORT.fullmatch(line)
    return (line.startswith(b"from"), match[2] if match else b"")
