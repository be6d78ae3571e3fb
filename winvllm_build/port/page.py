"""A report as one HTML page that needs nothing else: no network, no other file, any browser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from winvllm_build import onepage
from winvllm_build.legible import readable as shown
from winvllm_build.port import matrix
from winvllm_build.port.columns import Column
from winvllm_build.port.matrix import Block, Report, Row
from winvllm_build.port.signs import MISSING, SIGNS, Group
from winvllm_build.port.verdict import Kind

FILES: Final = Path(__file__).with_name("data")
BAR: Final = 40
"""Height of a column's bar in the picture's own units."""
ORDER: Final = (Group.SAME, Group.LOOK, Group.DONE, Group.OPEN)
"""Of the parts of a bar, from below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a bar, in its units from above."""

    group: str
    top: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head of a column."""

    tag: str
    missing: str
    same: bool
    words: str
    percent: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One verdict; `name` is empty where there is none."""

    name: str
    letter: str
    first: bool
    moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One patch."""

    folder: str
    name: str
    layer: str
    subject: str
    broke: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """The patches that one release broke, with the reason; `doubt` names others that may have."""

    tag: str
    doubt: str
    patches: tuple[tuple[str, str, str], ...]


def render(report: Report) -> str:
    """The page.

    Its data are the ones of `--json`, byte for byte the same values; whatever comes from a source or a patch
    is escaped, and nothing is allowed to run but the page's own script, known by its hash.
    """
    return onepage.render(
        FILES, "report",
        old=report.old, heads=tuple(_heads(report)), lines=tuple(_line(report, row) for row in report.rows),
        broken=tuple(_broken(report)), signs=_signs(), missing=MISSING, groups=Group,
        topics=sorted({shown(topic) for row in report.rows for topic in row.topics}),
        layers=tuple(dict.fromkeys(shown(row.layer) for row in report.rows)),
        notes=tuple(map(shown, report.notes)),
        seconds=f"{report.seconds:.0f}", data=onepage.block(matrix.data(report)),
        details=onepage.block(_details(report)), signs_data=onepage.block(_signs_data()),
    )  # fmt: skip


def slug(kind: Kind) -> str:
    return kind.value.replace(" ", "-")


def _heads(report: Report) -> Iterator[Head]:
    before: Mapping[str, object] = {}
    for column in report.columns:
        counts = report.counts(column.tag)
        fine, open_, total = matrix.share(counts)
        now = _column_of(report, column)
        yield Head(
            tag=column.tag, missing=shown(column.missing), same=bool(now) and now == before,
            words=f"{fine} of {total} need no decision, {open_} are open" if total else shown(column.missing),
            percent=f"{100 * fine // total}" if total else "", parts=tuple(_parts(counts, total)),
        )  # fmt: skip
        before = now or before


def _column_of(report: Report, column: Column) -> Mapping[str, object]:
    return {
        f"{row.layer}/{row.path}": (verdict.kind, verdict.to)
        for row in report.rows
        if (verdict := row.verdicts.get(column.tag)) is not None
    }


def _parts(counts: Mapping[Kind, int], total: int) -> Iterator[Part]:
    bottom = float(BAR)
    for group in ORDER:
        count = sum(number for kind, number in counts.items() if SIGNS[kind].group is group)
        if count:
            height = BAR * count / total
            bottom -= height
            yield Part(group=group.name.lower(), top=round(bottom, 2), height=round(height, 2))


def _line(report: Report, row: Row) -> Line:
    path = PurePosixPath(shown(row.path))
    breaks = report.breaks(row)
    folder = str(path.parent)
    return Line(
        folder="" if folder == "." else f"{folder}/", name=path.name, layer=shown(row.layer),
        subject=shown(row.subject), broke=breaks[0] if breaks else "",
        cells=tuple(_cell(row, tag, breaks) for tag in report.tags),
    )  # fmt: skip


def _cell(row: Row, tag: str, breaks: tuple[str, ...]) -> Cell:
    verdict = row.verdicts.get(tag)
    if verdict is None:
        return Cell(name="", letter=MISSING.letter, first=False, moved=False)
    return Cell(
        name=verdict.kind.value, letter=SIGNS[verdict.kind].letter, first=tag in breaks,
        moved=verdict.to not in (None, row.path),
    )  # fmt: skip


def _broken(report: Report) -> Iterator[Broken]:
    for column in report.columns:
        rows = report.broken_by(column.tag)
        if rows:
            patches = tuple(
                (shown(f"{row.layer}/{row.path}"), row.verdicts[column.tag].kind.value,
                 shown("; ".join(row.verdicts[column.tag].evidence)))
                for row in rows
            )  # fmt: skip
            yield Broken(tag=column.tag, doubt=report.doubt(column.tag), patches=patches)


def _signs() -> tuple[tuple[str, str, str, str, str], ...]:
    return tuple(
        (slug(kind), kind.value, sign.letter, sign.words, sign.group.name.lower())
        for kind, sign in SIGNS.items()
    )


def _signs_data() -> dict[str, Any]:
    return {
        kind.value: {"letter": sign.letter, "words": sign.words, "open": kind.is_open, "slug": slug(kind)}
        for kind, sign in SIGNS.items()
    }


def _details(report: Report) -> dict[str, Any]:
    """Each different detail once, and for each patch and release which one it is."""
    texts: dict[tuple[Block, ...], int] = {}
    cells: dict[str, dict[str, int]] = {}
    for row in report.rows:
        for tag, blocks in row.details.items():
            number = texts.setdefault(blocks, len(texts))
            cells.setdefault(f"{row.layer}/{row.path}", {})[tag] = number
    return {"cells": cells, "texts": [[_block_data(block) for block in blocks] for blocks in texts]}


def _block_data(block: Block) -> list[Any]:
    return [block.title, [line.mark + line.text for line in block.lines]]
