"""Rows in columns, in sections: coloured on a terminal, plain text everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.cli import render

STYLES: Final = {"new": "green", "added": "green", "moved": "yellow", "changed": "yellow", "gone": "red",
                 "removed": "red", "taken": "red", "same": "dim"}  # fmt: skip
"""By the word for what happened; other words are styles themselves."""
WIDEST: Final = 60
"""A column is padded at most to this width."""


@dataclass(frozen=True, slots=True, init=False)
class Row:
    """Cells; the last is not padded."""

    cells: tuple[str, ...]
    style: str

    def __init__(self, *cells: str, style: str = "") -> None:
        object.__setattr__(self, "cells", cells)
        object.__setattr__(self, "style", style)


@dataclass(frozen=True, slots=True)
class Section:
    """A title and its rows; one without rows is not shown."""

    title: str
    rows: tuple[Row, ...]
    note: str = ""


def show_sections(sections: Sequence[Section]) -> None:
    first = True
    for section in sections:
        if not section.rows and not section.note:
            continue
        if section.title:
            if not first:
                render.out("")
            _line(section.title, "bold")
        for row in _aligned(section.rows):
            _line(f"  {row.cells[0]}", STYLES.get(row.style, row.style))
        if section.note:
            _line(f"  {section.note}", "dim")
        first = False


def _aligned(rows: Sequence[Row]) -> list[Row]:
    """Each row as one cell; an empty first column is left out."""
    cells = [row.cells if row.cells[0] or any(r.cells[0] for r in rows) else row.cells[1:] for row in rows]
    padded = [one[:-1] for one in cells]
    count = max((len(one) for one in padded), default=0)
    widths = [
        max((min(len(one[at]), WIDEST) for one in padded if at < len(one)), default=0) for at in range(count)
    ]
    lines = []
    for one in cells:
        columns = [cell.ljust(width) for cell, width in zip(one[:-1], widths, strict=False)]
        lines.append("  ".join([*columns, *one[-1:]]).rstrip())
    return [Row(line, style=row.style) for line, row in zip(lines, rows, strict=True)]


def _line(text: str, style: str) -> None:
    if style and sys.stdout.isatty():
        render.console().print(text, style=style)
    else:
        render.out(text)


def counted(number: int, what: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
