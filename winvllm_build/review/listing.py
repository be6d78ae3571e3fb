"""The patches of a set as rows of a table and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winvllm_build.patchset.linecount import LineCount, count
from winvllm_build.patchset.patchset import Patch
from winvllm_build.review.find import listed
from winvllm_build.review.hunkpair import ChangedHunk
from winvllm_build.review.interdiff import FieldChange, PatchDelta
from winvllm_build.review.page import range_line, reasons_of
from winvllm_build.review.text import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One patch; `lines` as `unidiff` counts them."""

    layer: str
    target: str
    path: str
    lines: LineCount
    topics: tuple[str, ...]
    hazards: tuple[str, ...]
    subject: str


def rows(patches: Sequence[Patch]) -> tuple[Row, ...]:
    return tuple(
        Row(
            layer=patch.layer, target=patch.target, path=patch.path, lines=count(patch.content.diff),
            topics=tuple(listed(patch.content.header, "Topic")),
            hazards=tuple(listed(patch.content.header, "Hazards")),
            subject=patch.content.header.subject,
        )
        for patch in patches
    )  # fmt: skip


def patch_data(patch: Patch, *, whole: bool) -> dict[str, Any]:
    """A patch as data.

    Args:
        patch: the patch.
        whole: its hunks too.
    """
    row, diff = rows([patch])[0], patch.content.diff
    made: dict[str, Any] = {
        "layer": row.layer, "target": row.target, "path": row.path, "file": str(patch.file),
        "change": diff.change.name.lower(), "modes": list(diff.modes), "binary": diff.binary,
        "pre": patch.pre, "post": patch.post, "change_id": diff.change_id,
        "added": row.lines.added, "removed": row.lines.removed,
        "topics": list(row.topics), "hazards": list(row.hazards), "subject": row.subject,
        "header": [[field.name, field.value] for field in patch.content.header.fields],
    }  # fmt: skip
    if whole:
        reasons = reasons_of(patch)
        made["hunks"] = [
            {
                "id": hunk.id, "why": reasons.get(hunk.line), "old": [hunk.old_start, hunk.old_count],
                "new": [hunk.new_start, hunk.new_count], "range": shown(range_line(patch, hunk)),
                "lines": [shown(line) for line in hunk.lines],
            }
            for hunk in diff.hunks
        ]  # fmt: skip
    return made


def delta_data(delta: PatchDelta) -> dict[str, Any]:
    """What became of a patch as data."""
    return {
        "state": delta.state.value,
        "old": _named(delta.old), "new": _named(delta.new), "kept": delta.kept,
        "changed": [_pair_data(pair) for pair in delta.changed],
        "gone": [hunk.id for hunk in delta.gone], "added": [hunk.id for hunk in delta.added],
        "fields": [_change_data(change) for change in (*delta.forms, *delta.fields)],
    }  # fmt: skip


def _named(patch: Patch | None) -> Mapping[str, str] | None:
    return None if patch is None else {"layer": patch.layer, "target": patch.target, "path": patch.path}


def _pair_data(pair: ChangedHunk) -> dict[str, Any]:
    lines = [[mark, shown(line)] for mark, line in pair.lines]
    return {"old": pair.old.id, "new": pair.new.id, "lines": lines}


def _change_data(change: FieldChange) -> dict[str, str | None]:
    return {"name": change.name, "old": change.old, "new": change.new}
