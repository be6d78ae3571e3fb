"""Findings as text: one block for each cause, the same shape on a terminal and in a CI's log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from winvllm_build.build.diagnosis.finding import Finding
from winvllm_build.build.diagnosis.summary import Group, grouped, shortened
from winvllm_build.cli import render

if TYPE_CHECKING:
    from winvllm_build.build.diagnosis.edgefacts import EdgeFacts

NAMED: Final = 8
"""Edges of one cause that are named."""


def report(found: Sequence[Finding]) -> Iterator[str]:
    """Every cause with its error, class, place, hazards and what to do."""
    for at, group in enumerate(grouped(found)):
        if at:
            yield ""
        yield from _group(group)
    if len(found) > 1:
        yield ""
        causes = len(grouped(found))
        yield f"{len(found)} failures, {causes} cause{'' if causes == 1 else 's'}"


def _group(group: Group) -> Iterator[str]:
    finding = group.first
    named = [name for name in group.outputs if name]
    if named:
        more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
        yield f"{', '.join(named[:NAMED])}{more}"
    else:
        yield "outside of Ninja's edges"
    rows = [("error", shortened(finding)), *_through(finding)]
    rows.append(("class", f"{finding.kind.value}: {finding.title}" + _rule(finding)))
    if finding.why:
        rows.append(("why", finding.why))
    rows += [("patch", text) for text in _patches(finding)]
    rows += [("hazard", text) for text in _hazards(finding)]
    rows.append(("do", finding.do))
    if finding.log is not None:
        rows.append(
            ("log", f"{finding.log}, line {finding.message.at}" if finding.message.at else str(finding.log))
        )
    if finding.failure.others:
        rows.append(("more", f"{finding.failure.others} more errors follow in the log"))
    for name, value in rows:
        yield f"  {name:<8}{value}"


def _rule(finding: Finding) -> str:
    return f" [{finding.rule.id}]" if finding.rule is not None else ""


def _through(finding: Finding) -> list[tuple[str, str]]:
    if not finding.through:
        return []
    folded = len(finding.message.chain) - len(finding.through)
    more = f", {folded} between" if folded > 0 else ""
    return [("from", " to ".join(str(spot) for spot in finding.through) + more)]


def _patches(finding: Finding) -> Iterator[str]:
    patches = finding.place.patches if finding.place is not None else ()
    if not patches:
        return
    first = patches[0]
    where = "touches this line" if first.covers else "touches this file"
    yield f"{first.tag}/{first.patch} {where}: {first.hunk or first.subject}"
    if len(patches) > 1:
        yield f"also in {', '.join(touching.tag for touching in patches[1:])}"


def _hazards(finding: Finding) -> Iterator[str]:
    from winvllm_build.audit.hazard import catalogue

    known = catalogue()
    for name in finding.hazards:
        if name in known:
            yield f"{name} {known[name].title} (winvllm-build scan --explain {name})"


def edge(facts: EdgeFacts, *, failed: bool) -> Iterator[str]:
    """What is known of one edge."""
    yield f"{facts.output}: {_state(facts, failed=failed)}"
    if facts.source:
        yield f"  {'source':<8}{facts.source}"
    if facts.gencodes:
        yield f"  {'for':<8}{', '.join(facts.gencodes)}"
    if facts.seconds is not None:
        memory = f", {render.size(facts.memory)} at most" if facts.memory else ""
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(facts.ended)) if facts.ended else "last"
        yield f"  {'took':<8}{render.duration(facts.seconds)}{memory} ({when}, {facts.outcome})"
    if facts.command and failed:
        yield f"  {'command':<8}{facts.command}"


def _state(facts: EdgeFacts, *, failed: bool) -> str:
    if failed:
        return "failed in the last run"
    if facts.size is None:
        return "not built yet"
    return f"built, {render.size(facts.size)}"
