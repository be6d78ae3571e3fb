"""A run as one HTML page: timeline, memory, a table of files, and the difference from an earlier run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from winvllm_build import onepage
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.report import comparison, summary
from winvllm_build.build.report.board import label_of
from winvllm_build.build.report.comparison import Comparison
from winvllm_build.build.report.run import Ending, Origin, Run, edge_named
from winvllm_build.build.report.summary import Summary
from winvllm_build.legible import readable
from winvllm_build.quantities import duration, memory_size

FILES: Final = Path(__file__).with_name("data")
NAME: Final = "build"
TIMES: Final = "\N{MULTIPLICATION SIGN}"
GROUPS: Final = 7
"""Targets with a colour of their own; the others share one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What stands for an outcome: its letter, its word."""

    letter: str
    word: str


SIGNS: Final = {
    Outcome.COMPILED: Sign(letter="", word="ran"),
    Outcome.CACHED: Sign(letter="c", word="from the cache"),
    Outcome.REUSED: Sign(letter="m", word="made before"),
    Outcome.RETRIED: Sign(letter="R", word="out of memory, run again"),
    Outcome.FAILED: Sign(letter="F", word="failed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of the head: what, how much, and the words below."""

    name: str
    value: str
    words: str
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One attempt in the table; `at` is its number in the data."""

    at: int
    folder: str
    name: str
    target: str
    made_for: str
    outcome: Outcome
    attempt: int
    start: str
    seconds: str
    predicted: str
    ratio: str
    cpu: str
    memory: str
    before: str
    difference: str


def render(run: Run, against: Comparison | None) -> str:
    """The page; whatever comes from a build is escaped, and nothing may run but the page's own script."""
    found = summary.summarise(run)
    groups = _groups(run)
    return onepage.render(
        FILES, NAME,
        title=_title(run), subtitle=_subtitle(run), ending=_ending(run), figures=tuple(_figures(run, found)),
        lines=tuple(_lines(run, against)), signs=SIGNS, counts=found.counts, groups=groups,
        known=run.origin is Origin.RECORD, compared=None if against is None else _words(against),
        only_now=() if against is None else [readable(label_of(one.edge)) for one in against.only_now],
        only_before=() if against is None else [readable(label_of(one.edge)) for one in against.only_before],
        tail=tuple(readable(label) for label in found.tail_edges[:3]),
        data=onepage.block(_data(run, found, against, groups)),
    )  # fmt: skip


def _title(run: Run) -> str:
    if not run.tag:
        return readable(PurePosixPath(run.build.replace("\\", "/")).name or "A build")
    return readable(f"vLLM {run.tag}{' for ' + ', '.join(run.archs) if run.archs else ''}")


def _subtitle(run: Run) -> str:
    moment = dt.datetime.fromtimestamp(run.begun, dt.timezone.utc)
    when = f"{moment:%Y-%m-%d %H:%M} UTC, " if run.begun else ""
    source = ", from Ninja's log, which has times alone" if run.origin is Origin.NINJA else ""
    return f"{when}run {readable(run.name)}{source}"


def _ending(run: Run) -> str:
    """What to say of a run that did not end well."""
    if run.ending in {Ending.FINISHED, Ending.UNKNOWN}:
        return ""
    running = ", ".join(readable(label_of(edge_named(output))) for output in sorted(run.unended))
    return f"{run.ending.value}{': ' + running + ' did not end' if running else ''}"


def _figures(run: Run, found: Summary) -> Iterator[Figure]:
    yield Figure(name="Took", value=duration(run.seconds), words=f"{duration(found.work)} of commands")
    edges = sum(found.counts.values()) - found.counts[Outcome.RETRIED]
    spared = found.counts[Outcome.CACHED] + found.counts[Outcome.REUSED]
    words = f"{spared} did not have to be compiled" if spared else "all of them ran"
    failed = found.counts[Outcome.FAILED]
    yield Figure(name="Edges", value=f"{edges}", words=f"{failed} failed" if failed else words,
                 mark="bad" if failed else "")  # fmt: skip
    yield Figure(name="Slots in use", value=f"{found.utilisation:.0%}", words=f"of {found.slots}")
    yield Figure(name="Tail", value=duration(found.tail), words="at the end with a slot empty")
    if run.origin is Origin.NINJA:
        return
    if found.budget:
        again = found.counts[Outcome.RETRIED]
        yield Figure(
            name="Memory, at most", value=memory_size(found.peak), mark="bad" if again else "",
            words=f"of {memory_size(found.budget)}{f', {again} ran out of it' if again else ''}",
        )  # fmt: skip
    if found.accuracy is not None:
        yield Figure(
            name="Predicted", value=f"{TIMES} {found.accuracy.median:.2f}",
            words=f"the median; {found.accuracy.within:.0%} within half and twice",
        )  # fmt: skip


def _words(found: Comparison) -> str:
    ratio = f", in {found.ratio:.2f} of the time" if found.pairs else ""
    return f"{len(found.pairs)} edges ran then and now{ratio}"


def _lines(run: Run, against: Comparison | None) -> Iterator[Line]:
    """The table, the slowest first."""
    before = {pair.now.edge.output: pair.before for pair in against.pairs} if against is not None else {}
    order = sorted(range(len(run.records)), key=lambda at: -run.records[at].seconds)
    for at in order:
        record = run.records[at]
        label = PurePosixPath(readable(label_of(record.edge)))
        folder = str(label.parent)
        predicted, then = record.predicted_seconds, before.get(record.edge.output)
        if record.outcome is not Outcome.COMPILED:
            then = None
        yield Line(
            at=at, folder="" if folder == "." else f"{folder}/", name=label.name,
            target=readable(record.edge.target), made_for=" ".join(record.edge.gencodes),
            outcome=record.outcome, attempt=record.attempt,
            start=_clock(record.started - run.begun), seconds=_seconds(record.seconds),
            predicted=_seconds(predicted) if predicted else "",
            ratio=f"{record.seconds / predicted:.2f}" if predicted else "",
            cpu=_seconds(record.cpu) if record.cpu else "",
            memory=f"{record.memory / 1e9:.2f}" if record.memory else "",
            before=_seconds(then.seconds) if then is not None else "",
            difference=f"{record.seconds - then.seconds:+.1f}" if then is not None else "",
        )  # fmt: skip


def _seconds(value: float) -> str:
    return f"{value:.1f}"


def _clock(seconds: float) -> str:
    """`0:07`, `12:05`, `1:02:05`."""
    whole = max(int(seconds), 0)
    hours = f"{whole // 3600}:" if whole >= 3600 else ""  # noqa: PLR2004 - seconds in an hour
    return f"{hours}{whole % 3600 // 60:0{2 if hours else 1}d}:{whole % 60:02d}"


def _groups(run: Run) -> tuple[str, ...]:
    """The targets that took most time; each has a colour."""
    spent: dict[str, float] = {}
    for record in run.records:
        spent[record.edge.target] = spent.get(record.edge.target, 0.0) + record.seconds
    return tuple(sorted(spent, key=lambda target: -spent[target])[:GROUPS])


def _data(run: Run, found: Summary, against: Comparison | None, groups: Sequence[str]) -> Mapping[str, Any]:
    """The values of `report --json`, and what the pictures are drawn from."""
    made = summary.as_data(run, found)
    begun = run.begun
    return {
        **made,
        "comparison": None if against is None else comparison.as_data(against),
        "samples": [[round(one.at - begun, 2), one.used, one.budget, one.waiting] for one in run.samples],
        "unended": [
            {"output": output, "label": label_of(edge_named(output)), "start": round(start - begun, 3)}
            for output, start in sorted(run.unended.items())
        ],
        "groups": list(groups),
        "signs": {outcome.value: [sign.letter, sign.word] for outcome, sign in SIGNS.items()},
    }
