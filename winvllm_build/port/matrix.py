"""A report as a value: one verdict for each patch and release, and the same as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from winvllm_build.git import RepoPath
from winvllm_build.port.columns import Column
from winvllm_build.port.verdict import Kind, Verdict

SCHEMA: Final = 1
MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a detail: a mark (`+`, `-`, blank, `~` where lines are left out) and the text."""

    mark: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A part of a detail: what it shows, and its lines; `upstream` for upstream's side of a conflict."""

    title: str
    lines: tuple[Line, ...]
    upstream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One patch.

    Attributes:
        layer: its layer.
        path: its file in the old tag.
        subject: its header's first field.
        topics: what it is for.
        verdicts: by tag; releases without files have none.
        details: what differs, by tag, where it was asked for.
    """

    layer: str
    path: RepoPath
    subject: str
    topics: tuple[str, ...]
    verdicts: Mapping[str, Verdict]
    details: Mapping[str, tuple[Block, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every patch of a set on many releases.

    Attributes:
        old: the set's tag.
        columns: the releases, oldest first.
        rows: the patches.
        seconds: of the whole.
        column_seconds: of each release; several are carried at a time.
        notes: what is not in it.
        unseen: for a release, those right before it that were not looked at or have no files.
    """

    old: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    seconds: float
    column_seconds: Mapping[str, float]
    notes: tuple[str, ...] = ()
    unseen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(column.tag for column in self.columns)

    def counts(self, tag: str) -> Mapping[Kind, int]:
        """How many patches have which verdict."""
        found = Counter(row.verdicts[tag].kind for row in self.rows if tag in row.verdicts)
        return {kind: found[kind] for kind in Kind if found[kind]}

    def breaks(self, row: Row) -> tuple[str, ...]:
        """The releases where a patch that was not open before became open; the first one broke it."""
        found: list[str] = []
        was_open = False
        for tag in self.tags:
            verdict = row.verdicts.get(tag)
            if verdict is not None:
                if verdict.kind.is_open and not was_open:
                    found.append(tag)
                was_open = verdict.kind.is_open
        return tuple(found)

    def doubt(self, tag: str) -> str:
        """Which other releases may have broken what was first found broken on this one."""
        before = self.unseen.get(tag, ())
        if len(before) > MOST_NAMED:
            return f"or one of the {len(before)} releases before it"
        return f"or {' or '.join(before)}" if before else ""

    def broken_by(self, tag: str) -> tuple[Row, ...]:
        """The patches that a release was the first to break."""
        return tuple(row for row in self.rows if self.breaks(row)[:1] == (tag,))


def share(counts: Mapping[Kind, int]) -> tuple[int, int, int]:
    """Patches that need no one: carried and upstream's, those that need a decision, and all."""
    total = sum(counts.values())
    open_ = sum(count for kind, count in counts.items() if kind.is_open)
    return total - open_, open_, total


def data(report: Report) -> dict[str, Any]:
    """What `--json` prints; its form only grows within one `schema`."""
    return {
        "schema": SCHEMA,
        "from": report.old,
        "seconds": round(report.seconds, 2),
        "notes": list(report.notes),
        "tags": [_column_data(report, column) for column in report.columns],
        "patches": [_row_data(report, row) for row in report.rows],
    }


def _column_data(report: Report, column: Column) -> dict[str, Any]:
    counts = report.counts(column.tag)
    fine, open_, total = share(counts)
    return {
        "tag": column.tag,
        "source": None if column.source is None else column.source.kind.value,
        "sdist_sha256": column.sha256,
        "missing": column.missing or None,
        "seconds": round(report.column_seconds.get(column.tag, 0.0), 2),
        "counts": {kind.value: count for kind, count in counts.items()},
        "carried": fine - counts.get(Kind.UPSTREAMED, 0),
        "upstreamed": counts.get(Kind.UPSTREAMED, 0),
        "open": open_,
        "patches": total,
        "unseen": list(report.unseen.get(column.tag, ())),
        "broke": [row.path for row in report.broken_by(column.tag)],
    }


def _row_data(report: Report, row: Row) -> dict[str, Any]:
    return {
        "layer": row.layer, "path": row.path, "subject": row.subject,
        "topics": list(row.topics), "breaks": list(report.breaks(row)),
        "verdicts": {tag: verdict_data(verdict) for tag, verdict in row.verdicts.items()},
    }  # fmt: skip


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """A verdict; empty parts are left out."""
    made: dict[str, Any] = {"kind": verdict.kind.value}
    if verdict.to != verdict.path:
        made["to"] = verdict.to
    lists: dict[str, Sequence[str]] = {
        "evidence": verdict.evidence, "conflicts": verdict.conflicts, "lost": verdict.lost,
    }  # fmt: skip
    return made | {name: list(values) for name, values in lists.items() if values}
