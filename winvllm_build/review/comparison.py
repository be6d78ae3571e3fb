"""Two versions of a patch set beside each other, to be read: only what the changes themselves say anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from winvllm_build.patchset.diff import Hunk
from winvllm_build.patchset.patchset import Patch
from winvllm_build.review.hunkpair import ChangedHunk, changes
from winvllm_build.review.interdiff import FieldChange, PatchDelta, State
from winvllm_build.review.page import first_line, reasons_of
from winvllm_build.review.text import Line, Look, harmless, shown

MARKS = {"-": Look.REMOVED, "+": Look.ADDED, "~": Look.RANGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Patches by what became of them, and hunks."""

    states: Counter[State]
    kept: int
    changed: int
    gone: int
    added: int

    @property
    def differ(self) -> bool:
        return any(self.states[state] for state in State if state is not State.SAME)


def totals(deltas: Sequence[PatchDelta]) -> Totals:
    return Totals(
        states=Counter(delta.state for delta in deltas),
        kept=sum(delta.kept for delta in deltas),
        changed=sum(len(delta.changed) for delta in deltas),
        gone=sum(len(delta.gone) for delta in deltas),
        added=sum(len(delta.added) for delta in deltas),
    )


def pages(deltas: Sequence[PatchDelta]) -> Iterator[Line]:
    """Every patch that is not the same in both."""
    for delta in deltas:
        if delta.state is not State.SAME:
            yield from _page(delta)
            yield Line(look=Look.CONTEXT, text="")


def summary(deltas: Sequence[PatchDelta]) -> str:
    """One line, always true: what became of the patches, and of their hunks."""
    all_of = totals(deltas)
    patches = ", ".join(f"{all_of.states[state]} {state.value}" for state in State)
    hunks = f"{all_of.kept} kept, {all_of.changed} changed, {all_of.gone} gone, {all_of.added} new"
    return f"patches: {patches}; hunks: {hunks}"


def _page(delta: PatchDelta) -> Iterator[Line]:
    yield Line(look=Look.TITLE, text=_title(delta))
    if delta.old is None or delta.new is None:
        subject = delta.patches[0].content.header.subject
        yield Line(look=Look.FIELD, text=f"  Subject: {harmless(subject)}")
    for change in (*delta.forms, *delta.fields):
        yield from _field(change)
    for pair in delta.changed:
        yield from _changed(delta, pair)
    yield from _alone(delta.old, delta.gone, "-", "gone")
    yield from _alone(delta.new, delta.added, "+", "new")


def _title(delta: PatchDelta) -> str:
    patch = delta.patches[0]
    words = f"{delta.state.value}: {patch.layer}/{patch.target} {patch.path}"
    if delta.state is State.MOVED and delta.old is not None:
        words += f" (was {delta.old.layer}/{delta.old.target} {delta.old.path})"
    counts = {
        "kept": delta.kept,
        "changed": len(delta.changed),
        "gone": len(delta.gone),
        "new": len(delta.added),
    }
    told = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
    return f"{words}: hunks {told}" if told else words


def _field(change: FieldChange) -> Iterator[Line]:
    yield Line(look=Look.FIELD, text=f"  {change.name}")
    for mark, value in (("-", change.old), ("+", change.new)):
        for line in [] if value is None else value.split("\n"):
            yield Line(look=MARKS[mark], text=f"  {mark} {harmless(line)}".rstrip())


def _changed(delta: PatchDelta, pair: ChangedHunk) -> Iterator[Line]:
    places = f"line {first_line(pair.old)} -> {first_line(pair.new)}"
    yield Line(look=Look.RANGE, text=f"  hunk {pair.old.id} -> {pair.new.id}, {places}")
    yield from _why(delta.new, pair.new)
    for mark, line in pair.lines:
        text = "  ..." if mark == "~" else f"  {mark} {shown(line)}"
        yield Line(look=MARKS.get(mark, Look.CONTEXT), text=text)


def _alone(patch: Patch | None, hunks: Sequence[Hunk], mark: str, word: str) -> Iterator[Line]:
    for hunk in hunks:
        yield Line(look=Look.RANGE, text=f"  hunk {hunk.id} is {word}, line {first_line(hunk)}")
        yield from _why(patch, hunk)
        yield from (Line(look=MARKS[mark], text=f"  {mark} {shown(line)}") for line in changes(hunk))


def _why(patch: Patch | None, hunk: Hunk) -> Iterator[Line]:
    why = None if patch is None else reasons_of(patch).get(hunk.line)
    if why is not None:
        yield Line(look=Look.REASON, text=f"  {harmless(why.replace(chr(10), ' '))}")
