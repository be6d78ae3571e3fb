"""Import lines that both sides added at one place of a Python file: their order means nothing."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Final

from winvllm_build.port.regions import Region

IMPORT: Final = re.compile(rb"(import|from) ([\w.]+)[^()\\;\n]*?\r?\n")
"""A whole import statement on one line that is not indented."""

STATEMENT: Final = re.compile(rb"^(?:import|from) [^\n]*", re.MULTILINE)
FUTURE: Final = b"__future__"


def united(region: Region) -> tuple[bytes, ...] | None:
    """Upstream's imports with those the patch adds.

    None where a side does anything else, or where both bring the same name from different places.
    """
    if not all(_is_import(line) for side in (region.base, region.ours, region.theirs) for line in side):
        return None
    added = [line for line in region.theirs if line not in region.base]
    if not added or [line for line in region.theirs if line not in added] != list(region.base):
        return None
    made = list(region.ours)
    wanted = [line for line in dict.fromkeys(added) if line.strip() and line not in made]
    if _names(wanted) & _names(region.ours) or any(_is_bare(line) for line in (*added, *region.ours)):
        return None
    for line in wanted:
        start, end = (0, len(made)) if FUTURE in line else _section(made, region.theirs, line)
        made.insert(start + _place(made[start:end], line), line)
    return tuple(made)


def imports_of(content: bytes) -> set[bytes]:
    """The first line of every import statement that is not indented."""
    return {match[0].rstrip() for match in STATEMENT.finditer(content)}


def is_python(content: bytes) -> bool:
    """Whether it compiles; the parser alone accepts a `__future__` import behind others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile(content, "<merged>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _is_import(line: bytes) -> bool:
    return IMPORT.fullmatch(line) is not None or not line.strip()


def _is_bare(line: bytes) -> bool:
    """`from x import *` brings names that nobody sees here."""
    return line.split(b"#")[0].rstrip().endswith(b"*")


def _names(lines: Sequence[bytes]) -> set[str]:
    return {name for line in lines for name in _bound(line)}


def _bound(line: bytes) -> Iterator[str]:
    """The names that an import line brings."""
    try:
        statements = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        return
    for statement in statements:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            # `import a.b` and `import a.c` both bring `a`, and mean the same by it.
            yield from (name.asname or name.name for name in statement.names)


def _section(lines: Sequence[bytes], theirs: Sequence[bytes], new: bytes) -> tuple[int, int]:
    """The lines between blank ones that `new` has neighbours of in the patched file; else all of them."""
    beside = next(run for start, end in _runs(theirs) if new in (run := theirs[start:end]))
    return next(
        ((start, end) for start, end in _runs(lines) if not set(beside).isdisjoint(lines[start:end])),
        (0, len(lines)),
    )


def _runs(lines: Sequence[bytes]) -> Iterator[tuple[int, int]]:
    """Where lines without a blank one between them start and end."""
    start = 0
    for at, line in enumerate([*lines, b"\n"]):
        if not line.strip():
            if at > start:
                yield start, at
            start = at + 1


def _place(lines: Sequence[bytes], new: bytes) -> int:
    """Before the first line that sorts behind `new`: plain imports first, then by module."""
    wanted = _order(new)
    later = (at for at, line in enumerate(lines) if line.strip() and _order(line) > wanted)
    return next(later, max((at + 1 for at, line in enumerate(lines) if line.strip()), default=0))


def _order(line: bytes) -> tuple[bool, bool, bytes]:
    match = IMPORT.fullmatch(line)
    module = match[2] if match else b""
    return (module != FUTURE, line.startswith(b"from"), module)
