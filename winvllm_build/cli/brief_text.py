"""The rebase brief in words, and as data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from winvllm_build.cli import render
from winvllm_build.cli.rows import Row, Section, counted, show_sections
from winvllm_build.cli.tags_text import revisions

if TYPE_CHECKING:
    from winvllm_build.intake.brief import Brief, PinChange
    from winvllm_build.intake.compile_set import SourceChange, TargetChange
    from winvllm_build.intake.moves import FolderMove
    from winvllm_build.intake.patched import PatchedFile
    from winvllm_build.intake.wants import Difference, RequirementChange

MOST_FOLDERS: Final = 12
MOST_SOURCES: Final = 12
"""What is listed of each before `--verbose` is asked for."""


def show(brief: Brief, *, verbose: bool) -> None:
    render.out(f"{brief.old} -> {brief.new} ({render.duration(brief.seconds)})")
    render.out("")
    show_sections([
        Section("machine", tuple(_differences(brief.machine))),
        Section("supported architectures", tuple(_archs(brief.archs))),
        Section("projects that CMake fetches", tuple(_pins(brief.pins))),
        Section("extension modules of setup.py", tuple(_extensions(brief.extensions, verbose=verbose))),
        *_targets(brief.targets, verbose=verbose),
        Section("requirements", tuple(_requirements(brief.requirements))),
        _files(brief, verbose=verbose),
        *([] if brief.patched is None else [_patched(brief, brief.patched, verbose=verbose)]),
        Section("not understood", tuple(Row(words, style="red") for words in brief.unread)),
    ])  # fmt: skip


def _differences(found: Iterable[Difference]) -> Iterator[Row]:
    for one in found:
        yield Row(one.what, f"{one.old or 'none'} -> {one.new or 'none'}")


def _archs(found: Iterable[Difference]) -> Iterator[Row]:
    for one in found:
        old, new = one.old.split(), one.new.split()
        if old and new:
            yield Row(one.what, _names(old, new))
        else:
            yield Row(one.what, f"{'new' if new else 'gone'}: {one.new or one.old}")


def _names(old: Iterable[str], new: Iterable[str]) -> str:
    """`+added -gone`."""
    before, after = list(old), list(new)
    came = [f"+{name}" for name in after if name not in before]
    return " ".join(came + [f"-{name}" for name in before if name not in after])


def _pins(found: Sequence[PinChange]) -> Iterator[Row]:
    for one in found:
        old, new = one.old, one.new
        if one.state.value == "same":
            continue
        if new is None:
            yield Row("gone", one.content, revisions("", old.revision) if old else "", style="gone")
        elif old is None:
            details = f"{revisions('', new.revision)} of {new.url} for {' '.join(new.targets)}"
            yield Row("new", one.content, details, style="new")
        else:
            details = revisions(old.revision, new.revision)
            details += f", now from {new.url}" if old.url != new.url else ""
            targets = _names(old.targets, new.targets)
            yield Row("moved", one.content, f"{details}; {targets}" if targets else details, style="moved")
    same = [one.content for one in found if one.state.value == "same"]
    if same:
        yield Row("same", ", ".join(same), style="same")


def _extensions(found: Iterable[Difference], *, verbose: bool) -> Iterator[Row]:
    for one in found:
        word = "new" if not one.old else "gone" if not one.new else "changed"
        details = f"{one.old} -> {one.new}" if word == "changed" else one.new
        if not verbose:
            details = {"new": one.new.partition(" ")[0], "gone": ""}.get(word, "other conditions (--verbose)")
        yield Row(word, one.what, details, style=word)


def _targets(found: Iterable[TargetChange], *, verbose: bool) -> Iterator[Section]:
    same: list[str] = []
    for one in found:
        if one.state.value == "same":
            same.append(one.name)
            continue
        counts = f"{len(one.added)} added, {len(one.removed)} removed, {len(one.moved)} moved"
        state = {"new": "new, ", "gone": "gone, "}.get(one.state.value, "")
        rows = [*_sources("added", one.added, verbose=verbose)]
        rows += _sources("removed", one.removed, verbose=verbose)
        if verbose:
            rows += [Row("moved", file.path, f"was {file.was}", style="moved") for file in one.moved]
        yield Section(
            f"compiled for {one.name}: {state}{counted(one.size, 'source')} ({counts})", tuple(rows)
        )
    if same:
        yield Section("compiled as before", (Row(", ".join(same), style="same"),))


def _sources(word: str, found: Sequence[SourceChange], *, verbose: bool) -> Iterator[Row]:
    own = [one for one in found if verbose or not one.path.startswith("${")]
    shown = own if verbose else own[:MOST_SOURCES]
    for one in shown:
        told = [f"{'from' if word == 'added' else 'to'} {one.target}"] if one.target else []
        told += [f"for {' '.join(one.archs)}"] if one.archs else []
        if one.conditions and (verbose or not one.archs):
            told.append(f"if {' and '.join(one.conditions)}")
        yield Row(word, one.path, "; ".join(told), style=word)
    if len(own) > len(shown):
        yield Row(word, f"and {len(own) - len(shown)} more (--verbose)", style="dim")
    if len(found) > len(own):
        yield Row(
            word, f"{counted(len(found) - len(own), 'file')} of a fetched project (--verbose)", style="dim"
        )


def _requirements(found: Iterable[RequirementChange]) -> Iterator[Row]:
    for one in found:
        word = "new" if not one.old else "gone" if not one.new else "changed"
        details = {"new": one.new, "gone": one.old}.get(word, f"{one.old} -> {one.new}")
        yield Row(word, one.group, details, style=word)


def _files(brief: Brief, *, verbose: bool) -> Section:
    from winvllm_build.intake.moves import Change

    counts = ", ".join(f"{len(brief.moves.having(change))} {change.value}" for change in Change)
    if verbose:
        moved = brief.moves.having(Change.MOVED)
        rows = [Row(f"{one.similarity} %", one.old, f"-> {one.new}", style="moved") for one in moved]
        return Section(f"files: {counts}", tuple(rows))
    folders = [move for move in brief.moves.folders() if not move.aside]
    rows = [
        Row(str(move.files), move.old or ".", f"{_to(move)} ({_percent(move.least)})", style="moved")
        for move in folders[:MOST_FOLDERS]
    ]
    more = len(folders) - len(rows)
    note = f"and between {more} more pairs of folders (--verbose)" if more > 0 else ""
    return Section(f"files: {counts}", tuple(rows), note)


def _to(move: FolderMove) -> str:
    return "other names in the same folder" if move.old == move.new else f"-> {move.new or '.'}"


def _percent(least: int) -> str:
    return "unchanged" if least == 100 else f"{least} % alike or more"  # noqa: PLR2004 - the whole


def _patched(brief: Brief, found: Sequence[PatchedFile], *, verbose: bool) -> Section:
    from winvllm_build.intake.patched import Fate

    order = (Fate.GONE, Fate.TAKEN, Fate.MOVED, Fate.CHANGED, Fate.SAME)
    counts = ", ".join(
        f"{number} {fate.value}" for fate in order if (number := sum(one.fate is fate for one in found))
    )
    rows = [
        Row(one.fate.value, one.path, _upstream(one), style=one.fate.value)
        for fate in order
        for one in sorted(found, key=lambda file: (-file.added - file.removed, file.path))
        if one.fate is fate and (verbose or fate is not Fate.SAME)
    ]
    return Section(f"files that the patch set of {brief.old} changes: {counts}", tuple(rows))


def _upstream(file: PatchedFile) -> str:
    lines = f"+{file.added} -{file.removed}" if file.added or file.removed else ""
    if file.new and file.new != file.path:
        return f"-> {file.new} ({file.similarity} % alike) {lines}".rstrip()
    return lines


def data(brief: Brief) -> dict[str, Any]:
    """The whole brief for a program."""
    made: dict[str, Any] = _plain(brief)
    made["folders"] = [_plain(move) for move in brief.moves.folders()]
    made["files"] = made.pop("moves")["changes"]
    return made


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a dataclass holds
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
