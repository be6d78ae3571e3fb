"""A port as text: how many patches of each verdict, every one worth a look, and what is left to do."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from winvllm_build.cli import render
from winvllm_build.cli.port_hints import hints, ways

if TYPE_CHECKING:
    from winvllm_build.patchset.record import Ported, Record
    from winvllm_build.port.driver import Outcome
    from winvllm_build.port.progress import OpenPatch, Progress
    from winvllm_build.port.state import State

PLAIN: Final = ("identical", "offset", "new file")
"""Verdicts that need no look."""
STYLES: Final = {
    "identical": "green", "offset": "green", "context": "green", "new file": "green", "moved": "cyan",
    "merged": "yellow", "partly upstreamed": "cyan", "upstreamed": "blue", "deleted": "red",
    "conflict": "red", "ambiguous": "magenta",
}  # fmt: skip
ORDER: Final = {verdict: number for number, verdict in enumerate(STYLES)}
STANDS: Final = {
    "in conflict": "red", "to decide": "magenta", "resolved": "green", "resolved as before": "green",
    "accepted": "green", "skipped": "yellow",
}  # fmt: skip
Row = tuple[str, str, Sequence[str], str]
"""What it is, which patch, sentences about it, the colour."""


def summary(record: Record) -> str:
    """`v0.14.1 -> v0.19.0: 66 patches, 61 carried, 5 open`."""
    decided = Counter(entry.decision.value for entry in record.patches)
    told = [
        f"{count} {name}" for name, count in sorted(decided.items(), key=lambda item: (-item[1], item[0]))
    ]
    return f"{record.old} -> {record.new}: {len(record.patches)} patches, {', '.join(told) or 'none'}"


def show_record(record: Record, *, verbose: bool, elsewhere: Progress | None = None) -> None:
    """Counts by verdict, then the patches worth a look (or all), the open ones last.

    Args:
        record: what became of every patch.
        verbose: list those that need no look, too.
        elsewhere: open patches that are shown otherwise.
    """
    counts = Counter(entry.verdict for entry in record.patches)
    for verdict, count in counts.most_common():
        render.console().print(f"  {count:>4}  {verdict}", style=STYLES.get(verdict, ""))
    shown = sorted(
        (entry for entry in record.patches if verbose or entry.verdict not in PLAIN),
        key=lambda entry: (ORDER.get(entry.verdict, len(ORDER)), entry.path),
    )
    left_out = {patch.verdict.path for patch in elsewhere.patches} if elsewhere else set()
    settled = [entry for entry in shown if entry not in record.open]
    waiting = [entry for entry in shown if entry in record.open and entry.path not in left_out]
    for entries in (settled, waiting):
        if entries:
            render.out("")
            _show_rows("verdict", [_row(entry) for entry in entries])


def show_written(outcome: Outcome, root: Path) -> None:
    """What became of the new set's files."""
    result, record = outcome.result, outcome.record
    if result is None:
        return
    for orphan in result.orphans:
        render.note(f"note: the hunk of this note is gone, the note is kept: {orphan}")
    for finding in result.findings:
        render.note(f"note: {finding}")
    files = f"{len(result.written)} written, {len(result.removed)} removed, {len(result.unchanged)} unchanged"
    render.out("")
    render.out(f"{summary(record)} ({render.duration(outcome.seconds)})")
    render.out(f"{root / record.new}: {files}")


def show_state(state: State, progress: Progress | None, record: Record | None) -> None:
    """Where a port stands, and the commands that go on from there."""
    if progress is None or state.handoff is None:
        _show_waiting(state, record)
        return
    decided = len(progress.patches) - len(progress.undecided)
    where = f" ({state.handoff.target}, {state.handoff.layer})"
    render.out(
        f"{state.old} -> {state.new}: {decided} of {len(progress.patches)} open patches decided{where}"
    )
    _list([_open_row(state, patch) for patch in progress.patches])
    for mark in progress.marks:
        render.out(f"  {mark.path}:{mark.line}: a conflict line is left")
    for path in progress.untracked:
        render.out(f"  {path}: git does not know it; `git add` it or delete it")
    render.out("next:")
    for words in ways(state, progress):
        render.out(f"  {words}")


def record_data(record: Record) -> dict[str, Any]:
    from winvllm_build.patchset.record import entry_data

    return {
        "from": record.old,
        "to": record.new,
        "counts": dict(sorted(Counter(entry.verdict for entry in record.patches).items())),
        "decisions": dict(sorted(Counter(entry.decision.value for entry in record.patches).items())),
        "patches": [{"to": entry.to, "reason": entry.reason} | entry_data(entry) for entry in record.patches],
    }


def outcome_data(outcome: Outcome, progress: Progress | None) -> dict[str, Any]:
    result = outcome.result
    files = {} if result is None else {
        "written": [str(file) for file in result.written],
        "removed": [str(file) for file in result.removed],
        "unchanged": [str(file) for file in result.unchanged],
        "orphans": list(result.orphans), "findings": list(result.findings),
    }  # fmt: skip
    state = None if outcome.state is None else state_data(outcome.state, progress)
    return record_data(outcome.record) | files | {"seconds": round(outcome.seconds, 3), "under_way": state}


def state_data(state: State, progress: Progress | None) -> dict[str, Any]:
    """A port under way, for programs."""
    made = state.handoff
    data: dict[str, Any] = {
        "phase": state.phase.value,
        "worktree": None if made is None else str(made.worktree),
        "target": None if made is None else made.target,
        "layer": None if made is None else made.layer,
        "stranded": list(state.stranded),
    }
    if progress is not None:
        data |= {
            "undecided": len(progress.undecided),
            "patches": [_patch_data(state, patch) for patch in progress.patches],
            "markers": [{"path": mark.path, "line": mark.line} for mark in progress.marks],
            "untracked": list(progress.untracked),
            "next": list(ways(state, progress)),
        }
    return data


def _patch_data(state: State, patch: OpenPatch) -> dict[str, Any]:
    verdict = patch.verdict
    return {
        "path": verdict.path, "to": verdict.to, "verdict": verdict.kind.value, "stand": patch.stand.value,
        "decided": patch.stand.is_decided, "unmerged": list(patch.unmerged), "explicit": list(patch.explicit),
        "markers": [{"path": mark.path, "line": mark.line} for mark in patch.marks],
        "located": [place.path for place in patch.located],
        "evidence": list(verdict.evidence), "hints": list(hints(state, patch)),
    }  # fmt: skip


def _show_waiting(state: State, record: Record | None) -> None:
    """A port without a worktree: killed on the way, or with source trees that cannot be had."""
    if state.phase.value != "open":
        render.out(f"{state.old} -> {state.new}: a run was killed while {state.phase.value}")
        render.out(f"next:\n  {state.command('--continue')}  finishes it\n  {state.command('--abort')}")
        return
    names = ", ".join(state.stranded)
    render.out(f"{state.old} -> {state.new}: the patches of {names} wait for a decision")
    _show_rows("verdict", [_row(entry) for entry in (() if record is None else record.open)])
    render.out(f"next:\n  {state.command('--skip', 'PATH', '--reason', 'WHY')}")
    render.out(f"  {state.command('--continue')}  tries again and goes on")


def _open_row(state: State, patch: OpenPatch) -> Row:
    verdict = patch.verdict
    moved = "" if verdict.to in (None, verdict.path) else f" -> {verdict.to}"
    evidence = () if patch.stand.is_decided else verdict.evidence
    words = [*evidence, *hints(state, patch)]
    return patch.stand.value, f"{verdict.path}{moved}", words, STANDS.get(patch.stand.value, "")


def _row(entry: Ported) -> Row:
    moved = "" if entry.to in (None, entry.path) else f" -> {entry.to}"
    where = [name for name in (entry.target, entry.layer) if name not in ("vllm", "windows")]
    named = f" ({'/'.join(where)})" if where else ""
    verdict = entry.verdict
    if entry.decision.value in ("resolved", "dropped"):
        verdict = f"{verdict}, {entry.decision.value}"
    words = [*entry.evidence, *([entry.reason] if entry.reason else [])]
    return verdict, f"{entry.path}{moved}{named}", words, STYLES.get(entry.verdict, "")


def _show_rows(title: str, rows: Sequence[Row]) -> None:
    if sys.stdout.isatty() and rows:
        _table(title, rows)
    else:
        _list(rows)


def _list(rows: Sequence[Row]) -> None:
    """One sentence a line, never wrapped: commands in it can be copied."""
    width = max((len(name) for name, _, _, _ in rows), default=0)
    for name, place, words, style in rows:
        render.console().print(f"  {name:<{width}}", style=style, end="")
        render.console().print(f"  {place}")
        for sentence in words:
            render.out(f"  {'':<{width}}    {sentence}")


def _table(title: str, rows: Sequence[Row]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=True, header_style="bold")
    for name in (title, "patch", "why"):
        table.add_column(name, overflow="fold")
    for name, place, words, style in rows:
        table.add_row(Text(name, style=style), Text(place), Text("\n".join(words), style="dim"))
    render.console().print(table)
