"""A run in words: for the terminal, and as Markdown for the page of a CI step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.report.board import label_of, outcome_words
from winvllm_build.build.report.comparison import Comparison
from winvllm_build.build.report.run import Ending, Origin, Run
from winvllm_build.build.report.summary import Summary, summarise
from winvllm_build.cli.render import duration, memory_size
from winvllm_build.cli.rows import Row, Section, counted

LISTED: Final = 10
NOTABLE: Final = 1.0
"""Seconds that a file has to differ by to be named."""


def sections(run: Run, found: Summary, against: Comparison | None) -> Iterator[Section]:
    """What `report` prints."""
    yield Section(title=title(run), rows=tuple(Row(name, value) for name, value in figures(run, found)))
    yield Section(title="Slowest", rows=tuple(_edge_rows(found.slowest)))
    if found.largest:
        yield Section(title="Most memory", rows=tuple(_memory_rows(found.largest)))
    if against is not None:
        yield from _compared(against)


def title(run: Run) -> str:
    what = " ".join(part for part in ("vLLM", run.tag, "for " + ", ".join(run.archs) if run.archs else ""))
    return f"{what if run.tag else run.build}: run {run.name}"


def figures(run: Run, found: Summary) -> Iterator[tuple[str, str]]:
    """Name and value of each figure that is known."""
    ending = "" if run.ending in {Ending.FINISHED, Ending.UNKNOWN} else f", {run.ending.value}"
    yield "took", f"{duration(run.seconds)}{ending}"
    parts = [counted(sum(found.counts.values()) - found.counts[Outcome.RETRIED], "edge")]
    parts += [
        f"{count} {outcome_words(outcome)}"
        for outcome, count in found.counts.items()
        if count and outcome is not Outcome.COMPILED
    ]
    yield "edges", ", ".join(parts)
    used = f"{found.utilisation:.0%} of {counted(found.slots, 'slot')} in use"
    yield "work", f"{duration(found.work)} in commands, {used}"
    if found.tail >= NOTABLE and found.tail_edges:
        yield "tail", f"{duration(found.tail)} with a slot empty, the last was {found.tail_edges[0]}"
    if run.origin is Origin.NINJA:
        yield "known from", "ninja's log, which has times alone"
        return
    if found.budget:
        yield "memory", f"at most {memory_size(found.peak)} of {memory_size(found.budget)}"
    if found.waited >= NOTABLE:
        yield "waited", f"{duration(found.waited)} for memory or a slot, all edges together"
    if found.accuracy is not None:
        seen = found.accuracy
        within = f"{seen.within:.0%} of {counted(seen.edges, 'edge')} within half and twice the time"
        more = f"{seen.over_memory} took more memory"
        yield "predicted", f"{within}, the median took {seen.median:.2f} of it; {more}"
    if run.unended:
        yield "cut off", ", ".join(sorted(run.unended)[:LISTED])
    if run.torn:
        yield "torn", counted(run.torn, "line")


def _edge_rows(records: Sequence[EdgeRecord]) -> Iterator[Row]:
    for record in records:
        predicted = record.predicted_seconds
        words = f"{duration(predicted)} predicted" if predicted else ""
        yield Row(f"{duration(record.seconds):>12}", label_of(record.edge), words)


def _memory_rows(records: Sequence[EdgeRecord]) -> Iterator[Row]:
    for record in records:
        predicted = record.predicted_memory
        words = f"{memory_size(predicted)} predicted" if predicted else ""
        yield Row(f"{memory_size(record.memory):>12}", label_of(record.edge), words)


def _compared(found: Comparison) -> Iterator[Section]:
    slower = [pair for pair in found.pairs if pair.difference >= NOTABLE][:LISTED]
    faster = [pair for pair in found.pairs[::-1] if -pair.difference >= NOTABLE][:LISTED]
    ratio = f", now in {found.ratio:.2f} of the time" if found.pairs else ""
    alone = f"{len(found.only_now)} only now, {len(found.only_before)} only then"
    words = f"{counted(len(found.pairs), 'edge')} ran in both{ratio}; {alone}"
    yield Section(title=f"Compared with {found.earlier.name}", rows=(), note=words)
    for name, pairs in (("Slower", slower), ("Faster", faster)):
        rows = tuple(
            Row(
                f"{duration(pair.before.seconds):>12} to {duration(pair.now.seconds)}",
                label_of(pair.now.edge),
            )
            for pair in pairs
        )
        yield Section(title=name, rows=rows)


def markdown(run: Run) -> str:
    """The figures of a run and its slowest edges as two tables."""
    found = summarise(run)
    lines = [f"### {_cell(title(run))}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in figures(run, found)]
    lines += [f"| {_cell(step)} | {duration(seconds)} |" for step, seconds in run.steps.items()]
    lines += ["", "| slowest | took | predicted | memory |", "|---|---|---|---|"]
    for record in found.slowest:
        cells = (
            f"`{_cell(label_of(record.edge))}`", duration(record.seconds), duration(record.predicted_seconds),
            memory_size(record.memory),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", ""])


def _cell(text: str) -> str:
    """Text that ends neither its cell nor its code, and is no markup."""
    made = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "&#124;").replace("`", "'")
    return " ".join(made.split())
