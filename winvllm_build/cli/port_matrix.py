"""A report in a terminal: one letter for each patch and release, in colours where there are some."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from winvllm_build.cli import render
from winvllm_build.port.signs import MISSING, SIGNS, Group, Sign
from winvllm_build.review.text import harmless

if TYPE_CHECKING:
    from rich.text import Text

    from winvllm_build.port.matrix import Report, Row

STYLES: Final = {
    Group.SAME: "green", Group.LOOK: "yellow", Group.DONE: "cyan", Group.OPEN: "bold white on red",
}  # fmt: skip
FIRST: Final = "bold black on bright_yellow"
"""The release that broke a patch."""
LEAST_NAME: Final = 24
GAP: Final = 2
CUT: Final = "..."


def show(report: Report) -> None:
    """Print the matrix, its legend and what broke where."""
    coloured = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if coloured else 0
    for line in _lines(report, width):
        if coloured:
            render.console().print(line)
        else:
            render.out(line.plain.rstrip())


def _lines(report: Report, width: int) -> Iterator[Text]:
    from rich.text import Text

    rows = _ordered(report)
    names = [_name(report, row) for row in rows]
    heads, cell, room = _layout(report, max((len(name) for name in names), default=0), width)
    for head in heads:
        yield Text(" " * (room + GAP) + head, style="bold")
    for row, name in zip(rows, names, strict=True):
        yield _line(report, row, _cut(name, room), cell)
    open_ = [str(sum(n for kind, n in report.counts(tag).items() if kind.is_open)) for tag in report.tags]
    if cell > 1:
        yield Text(f"{'open':<{room + GAP}}" + "".join(f"{count:>{cell}}" for count in open_), style="bold")
    yield Text()
    yield from _legend(report)
    yield Text()
    yield from _story(report)


def _ordered(report: Report) -> list[Row]:
    """What broke first comes first, what never broke last, by path."""
    tags = report.tags

    def place(row: Row) -> tuple[int, str, str]:
        breaks = report.breaks(row)
        return (tags.index(breaks[0]) if breaks else len(tags), row.layer, row.path)

    return sorted(report.rows, key=place)


def _name(report: Report, row: Row) -> str:
    several = len({other.layer for other in report.rows}) > 1
    return harmless(f"{row.layer}/{row.path}" if several else row.path)


def _layout(report: Report, longest: int, width: int) -> tuple[list[str], int, int]:
    """The lines of the head, the width of a cell, and that of the names; a width of 0 is no limit."""
    shared = "v0." if all(tag.startswith("v0.") for tag in report.tags) else "v"
    labels = [tag.removeprefix(shared) for tag in report.tags]
    halves = [label.rpartition(".") for label in labels]
    above, below = [half[0] for half in halves], [f"{half[1]}{half[2]}" for half in halves]
    cell = max((len(half) for half in (*above, *below)), default=0) + 1
    if not width or longest + GAP + cell * len(labels) <= width:
        return [_joined(half, cell) for half in (above, below)], cell, longest
    if LEAST_NAME + GAP + cell * len(labels) <= width:
        return [_joined(half, cell) for half in (above, below)], cell, width - GAP - cell * len(labels)
    tall = max(len(label) for label in labels)
    upright = ["".join(label.ljust(tall)[at] for label in labels) for at in range(tall)]
    return upright, 1, min(longest, max(LEAST_NAME, width - GAP - len(labels)))


def _joined(labels: Sequence[str], cell: int) -> str:
    return "".join(f"{label:>{cell}}" for label in labels)


def _line(report: Report, row: Row, name: str, cell: int) -> Text:
    from rich.text import Text

    made = Text(name + " " * GAP)
    breaks = report.breaks(row)
    for tag in report.tags:
        verdict = row.verdicts.get(tag)
        sign = MISSING if verdict is None else SIGNS[verdict.kind]
        made.append(" " * (cell - 1))
        made.append(sign.letter, style=_style(verdict is None, sign, first=tag in breaks))
    return made


def _style(absent: bool, sign: Sign, *, first: bool) -> str:  # noqa: FBT001 - private, of one line
    if absent:
        return "dim"
    return FIRST if first else STYLES[sign.group]


def _cut(name: str, room: int) -> str:
    """The end of a path tells more than its beginning."""
    return name.ljust(room) if len(name) <= room else CUT + name[len(CUT) - room :]


def _legend(report: Report) -> Iterator[Text]:
    from rich.text import Text

    used = {verdict.kind for row in report.rows for verdict in row.verdicts.values()}
    for kind, sign in SIGNS.items():
        if kind in used:
            line = Text("  ").append(sign.letter, style=STYLES[sign.group])
            yield line.append(f" {kind.value}: {sign.words}")
    for column in report.columns:
        if column.missing:
            yield Text(f"  {MISSING.letter} {column.tag}: {column.missing}")
    for note in report.notes:
        yield Text(f"  note: {note}")


def _story(report: Report) -> Iterator[Text]:
    from rich.text import Text

    for tag in report.tags:
        for row in report.broken_by(tag):
            verdict = row.verdicts[tag]
            words = harmless("; ".join(verdict.evidence))
            doubt = report.doubt(tag)
            line = Text(f"{tag}{f', {doubt},' if doubt else ''} broke ").append(
                _name(report, row), style="bold"
            )
            yield line.append(f": {verdict.kind.value}{f' ({words})' if words else ''}")
