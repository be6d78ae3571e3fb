"""A port as text and as data: how many patches of each verdict, then every one that is worth a look."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from winvllm_build.cli import render

if TYPE_CHECKING:
    from rich.console import Console

    from winvllm_build.patchset.record import Ported, Record

PLAIN: Final = ("identical", "offset", "new file")
"""Verdicts that need no look."""
STYLES: Final = {
    "identical": "green", "offset": "green", "context": "green", "new file": "green", "moved": "cyan",
    "merged": "yellow", "partly upstreamed": "cyan", "upstreamed": "blue", "deleted": "red",
    "conflict": "red", "ambiguous": "magenta",
}  # fmt: skip


def summary(record: Record) -> str:
    """`v0.14.1 -> v0.19.0: 90 patches, 83 without help, 7 open`."""
    decided = Counter(entry.decision.value for entry in record.patches)
    told = [f"{count} {name}" for name, count in sorted(decided.items(), key=_by_count)]
    return f"{record.old} -> {record.new}: {len(record.patches)} patches, {', '.join(told) or 'none'}"


def show_record(record: Record, *, verbose: bool) -> None:
    """Counts by verdict, then the patches worth a look (or all), the open ones last."""
    counts = Counter(entry.verdict for entry in record.patches)
    terminal = render.console()
    for verdict, count in counts.most_common():
        terminal.print(f"  {count:>4}  {verdict}", style=STYLES.get(verdict, ""))
    shown = [entry for entry in record.patches if verbose or entry.verdict not in PLAIN]
    settled = [entry for entry in shown if entry not in record.open]
    for entries in (settled, [entry for entry in shown if entry in record.open]):
        if entries:
            render.out("")
            _list(terminal, entries)


def record_data(record: Record) -> dict[str, Any]:
    return {
        "from": record.old,
        "to": record.new,
        "counts": dict(sorted(Counter(entry.verdict for entry in record.patches).items())),
        "decisions": dict(sorted(Counter(entry.decision.value for entry in record.patches).items())),
        "patches": [_data(entry) for entry in record.patches],
    }


def _list(terminal: Console, entries: Sequence[Ported]) -> None:
    if sys.stdout.isatty():
        _table(terminal, entries)
        return
    width = max(len(entry.verdict) for entry in entries)
    for entry in entries:
        render.out(f"  {entry.verdict:<{width}}  {_place(entry)}")
        for words in (*entry.evidence, *([entry.reason] if entry.reason else [])):
            render.out(f"  {'':<{width}}    {words}")


def _table(terminal: Console, entries: Sequence[Ported]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=True, header_style="bold")
    for title in ("verdict", "patch", "why"):
        table.add_column(title, overflow="fold")
    for entry in entries:
        why = "\n".join((*entry.evidence, *([entry.reason] if entry.reason else [])))
        style = STYLES.get(entry.verdict, "")
        table.add_row(Text(entry.verdict, style=style), Text(_place(entry)), Text(why, style="dim"))
    terminal.print(table)


def _place(entry: Ported) -> str:
    """`csrc/a.cu -> csrc/new/a.cu (turboquant)`."""
    moved = f" -> {entry.to}" if entry.to not in (None, entry.path) else ""
    where = [name for name in (entry.target, entry.layer) if name not in ("vllm", "windows")]
    named = f" ({'/'.join(where)})" if where else ""
    return f"{entry.path}{moved}{named}"


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _data(entry: Ported) -> dict[str, Any]:
    return {
        "target": entry.target, "layer": entry.layer, "path": entry.path, "to": entry.to,
        "verdict": entry.verdict, "decision": entry.decision.value, "evidence": list(entry.evidence),
        "reason": entry.reason,
    }  # fmt: skip
