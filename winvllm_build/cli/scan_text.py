"""A scan in words, as data and as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from winvllm_build.cli import render
from winvllm_build.cli.rows import Row, Section, counted, show_sections

if TYPE_CHECKING:
    from winvllm_build.audit.coverage import Coverage, Place, Tally
    from winvllm_build.audit.hazard import Hazard
    from winvllm_build.audit.hit import Blind, Hit
    from winvllm_build.audit.newsince import Since, Work
    from winvllm_build.audit.scan import Scan

LONGEST: Final = 110
"""Letters of a source line that are shown."""
STYLES: Final = {"blocks compile": "red", "breaks at run time": "yellow", "advisory": "dim"}


def show(made: Scan, coverage: Coverage, *, every: bool, summary: bool) -> None:
    """The table of hazards, the places, what could not be followed, and the sums."""
    show_sections([Section(made.title, _table(coverage.tallies()))])
    if not summary:
        places = coverage.places if every else coverage.left
        sections = _by_weight(places)
        if sections:
            render.out("")
        show_sections(sections)
    _show_blind(made.found.blind, summary=summary)
    _show_end(made, coverage)


def show_since(made: Scan, coverage: Coverage, since: Since, tasks: Sequence[Work], *, summary: bool) -> None:
    """What is new by file, with the patches that met the same before, and what is gone."""
    render.out(f"{made.title}: new since {since.old}")
    for task in () if summary else tasks:
        render.out("")
        rows = [_place_row(place.hit, f"line {place.hit.line}") for place in task.places]
        show_sections([Section(task.path, tuple(rows))])
        if task.patch is not None:
            render.out(f"  patched in {since.old}: {task.patch}")
        if task.examples:
            render.out(f"  met before by the patches of {', '.join(task.examples)}")
    _show_blind(made.found.blind, summary=True)
    _show_faults(coverage)
    render.out("")
    render.out(
        f"{counted(len(since.fresh), 'new place')} in {counted(len(tasks), 'file')}, {len(since.failing)} of "
        f"them more than advice; {len(since.gone)} gone, {len(since.moved)} moved with their file, "
        f"{len(since.same)} as before ({_looked(made)})"
    )


def write_sarif(file: Path, made: Scan, coverage: Coverage, since: Since | None, *, guarded: bool) -> None:
    from importlib.metadata import version

    from winvllm_build.audit.sarif import log
    from winvllm_build.workspace import write_atomic

    text = log(
        found=made.found, coverage=coverage, since=since, version=version("winvllm-build"), guarded=guarded
    )
    write_atomic(file.absolute(), json.dumps(text, indent=1, sort_keys=True).encode() + b"\n")


def data(made: Scan, coverage: Coverage, since: Since | None, tasks: Sequence[Work]) -> dict[str, Any]:
    """Everything, for `--json`."""
    found = made.found
    said: dict[str, Any] = {
        "name": made.name, "layers": list(made.layers), "files": found.files, "lines": found.lines,
        "seconds": {name: round(seconds, 3) for name, seconds in made.seconds.items()},
        "hazards": [_tally_data(tally) for tally in coverage.tallies()],
        "hits": [_place_data(place) for place in coverage.places],
        "blind": [{"path": one.path, "lines": one.lines, "why": one.why} for one in found.blind],
        "faults": [
            {"file": str(fault.file), "line": fault.line, "message": fault.message, "fix": fault.fix}
            for fault in coverage.faults
        ],
        "left": len(coverage.left), "failing": len(coverage.failing),
    }  # fmt: skip
    if since is not None:
        said["new_since"] = {
            "old": since.old, "failing": len(since.failing),
            "new": [_place_data(place) for place in since.fresh],
            "gone": [_hit_data(hit) for hit in since.gone],
            "moved": [{"old": _hit_data(pair.old), "new": _hit_data(pair.new)} for pair in since.moved],
            "same": len(since.same),
            "work": [
                {"path": task.path, "patch": task.patch, "examples": list(task.examples),
                 "places": len(task.places)}
                for task in tasks
            ],
        }  # fmt: skip
    return said


def hazard_data(hazard: Hazard) -> dict[str, Any]:
    return {
        "id": hazard.id, "title": hazard.title, "severity": hazard.severity.value, "why": hazard.why,
        "shows": hazard.shows, "fix": hazard.fix, "source": hazard.source,
        "samples": [{"path": one.path, "bad": one.bad, "good": one.good} for one in hazard.samples],
    }  # fmt: skip


def _table(tallies: Sequence[Tally]) -> tuple[Row, ...]:
    if not tallies:
        return ()
    head = Row("hazard", "severity", "live", "suppressed", "guarded", "dead", "files", "title", style="bold")
    return (head, *(
        Row(
            tally.hazard.id, tally.hazard.severity.value, str(tally.live), str(tally.suppressed),
            str(tally.guarded), str(tally.dead), str(tally.files), tally.hazard.title,
            style=STYLES[tally.hazard.severity.value] if tally.live else "dim",
        )
        for tally in tallies
    ))  # fmt: skip


def _by_weight(places: Sequence[Place]) -> list[Section]:
    """Places of one state, severity and reach together; they come in that order."""
    sections: dict[str, list[Row]] = {}
    for place in places:
        state = "suppressed" if place.suppression is not None else place.hit.state.value
        title = f"{state}, {place.hazard.severity.value}, {_reach(place.hit)}"
        row = _place_row(place.hit, f"{place.hit.path}:{place.hit.line}")
        sections.setdefault(title, []).append(row)
        if place.suppression is not None:
            sections[title].append(Row(f"    {_short(place.suppression.reason)}", style="dim"))
    return [Section(title, tuple(rows)) for title, rows in sections.items()]


def _reach(hit: Hit) -> str:
    words = {"build": "built or installed", "start": "imported at the start", "use": "imported when used",
             "corner": "in a corner"}  # fmt: skip
    return words[hit.reach.value]


def _place_row(hit: Hit, where: str) -> Row:
    found = f"{hit.rule} ({_short(hit.detail)})" if hit.detail else hit.rule
    return Row(f"{hit.hazard:<4}", where, found, _short(hit.text))


def _short(text: str) -> str:
    from winvllm_build.review.text import harmless

    shown = harmless(" ".join(text.split()))
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


def _show_blind(blind: Sequence[Blind], *, summary: bool) -> None:
    """What no parser followed, by reason; it is told even where only sums are."""
    if not blind:
        return
    by_reason: dict[str, list[Blind]] = {}
    for one in blind:
        by_reason.setdefault(one.why, []).append(one)
    files = counted(len({one.path for one in blind}), "file")
    render.out("")
    render.out(f"not followed by a parser, so that rules which need one saw nothing there: {files}")
    for why, found in () if summary else by_reason.items():
        render.out(f"  {_short(why)}:")
        for one in found:
            part = f" ({counted(one.lines, 'line')})" if one.lines else ""
            render.out(f"    {one.path}{part}")


def _show_end(made: Scan, coverage: Coverage) -> None:
    _show_faults(coverage)
    tallies = coverage.tallies()
    suppressed = sum(tally.suppressed for tally in tallies)
    told = [f"{len(coverage.left)} live", *([f"{suppressed} suppressed"] if suppressed else [])]
    told += [f"{sum(t.guarded for t in tallies)} guarded", f"{sum(t.dead for t in tallies)} dead"]
    render.out("")
    render.out(f"{made.title}: {', '.join(told)}; {len(coverage.failing)} more than advice ({_looked(made)})")


def _show_faults(coverage: Coverage) -> None:
    if not coverage.faults:
        return
    render.out("")
    for fault in coverage.faults:
        place = f"{fault.file}:{fault.line}" if fault.line else str(fault.file)
        render.out(f"{place}: {fault.message}")
        render.out(f"  fix: {fault.fix}")


def _looked(made: Scan) -> str:
    found = made.found
    return f"{found.files:,} files, {found.lines:,} lines, {render.duration(sum(made.seconds.values()))}"


def _tally_data(tally: Tally) -> dict[str, Any]:
    return {
        "hazard": tally.hazard.id, "title": tally.hazard.title, "severity": tally.hazard.severity.value,
        "live": tally.live, "suppressed": tally.suppressed, "guarded": tally.guarded, "dead": tally.dead,
        "files": tally.files,
    }  # fmt: skip


def _place_data(place: Place) -> dict[str, Any]:
    reason = place.suppression.reason if place.suppression is not None else None
    return {**_hit_data(place.hit), "severity": place.hazard.severity.value, "suppressed": reason}


def _hit_data(hit: Hit) -> dict[str, Any]:
    return {
        "hazard": hit.hazard, "rule": hit.rule, "path": hit.path, "line": hit.line, "text": hit.text,
        "state": hit.state.value, "reach": hit.reach.value, "detail": hit.detail,
    }  # fmt: skip
