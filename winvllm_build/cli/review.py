"""`winvllm-build show`: the patches of a set with their reasons, or what differs between two sets."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import FINDINGS, JsonOption, PatchesOption

if TYPE_CHECKING:
    from winvllm_build.patchset.patchset import Draft, Patch
    from winvllm_build.review.find import Wanted
    from winvllm_build.review.listing import Row
    from winvllm_build.review.text import Line

SHOW_HELP = """List the patches of a set, show some with the reason of each hunk, or compare two sets.

\b
Examples:
  winvllm-build show                              the newest set as a table
  winvllm-build show v0.14.1 --topic msvc --hazard D21
  winvllm-build show math.hpp                     one patch; a path, its end, or a glob
  winvllm-build show --why "csrc/*.cu" --all      only the reasons, of every match
  winvllm-build show --interdiff v0.14.1 v0.15.0  what a port changed in the patches themselves
  winvllm-build show --interdiff v0.14.1 ../mine/v0.14.1 setup.py
In a comparison, hunks that only moved or have other context are counted, not shown.
"""
LOOKS: Final = {
    "title": "bold", "field": "", "reason": "italic cyan", "missing": "dim italic", "range": "cyan",
    "added": "green", "removed": "red", "context": "",
}  # fmt: skip

COLUMNS: Final = ("layer", "path", "lines", "topic", "hazards", "subject")

Layers = Annotated[list[str] | None, typer.Option("--layer", help="Only patches of this layer.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only patches of this topic.")]
Hazards = Annotated[list[str] | None, typer.Option("--hazard", help="Only patches against this hazard.")]
Targets = Annotated[list[str] | None, typer.Option("--target", help="Only patches of this source tree.")]


def register(app: typer.Typer) -> None:
    app.command(help=SHOW_HELP)(show)


def show(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG] [PATH]...", help="Default: the newest tag, all.")
    ] = None,
    *,
    tag: Annotated[str | None, typer.Option("--tag", help="The same as TAG.")] = None,
    interdiff: Annotated[
        tuple[str, str] | None,
        typer.Option("--interdiff", metavar="OLD NEW", help="Compare two sets: tags, or FOLDER/TAG."),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Only why each hunk is there.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every match of a PATH in full.")] = False,
    layer: Layers = None,
    topic: Topics = None,
    hazard: Hazards = None,
    target: Targets = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="With --interdiff: exit code 1 if the sets differ.")
    ] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.review.find import Wanted, narrowed, read_set

    wanted = Wanted(
        layers=tuple(layer or ()), topics=tuple(topic or ()), hazards=tuple(hazard or ()),
        targets=tuple(target or ()),
    )  # fmt: skip
    if interdiff is not None:
        return _compare(interdiff, words or [], wanted, patches, as_json=as_json, exit_code=exit_code)
    root, name, paths = _meant(patches, tag, words or [])
    draft = read_set(root, name)
    _note(draft)
    chosen = narrowed(draft, wanted)
    if not paths and not why:
        _show_table(chosen, draft, as_json=as_json)
        return 0
    found, undecided = _found(draft, chosen, paths, every=every)
    if as_json:
        from winvllm_build.review.listing import patch_data

        render.data([patch_data(patch, whole=not undecided) for patch in found])
    elif undecided:
        _show_table(found, draft, as_json=False)
        render.note("note: several patches match; name one, or add --all to show them all")
    else:
        _show_pages(found, why=why)
    return 0


def _meant(patches: Path | None, tag: str | None, words: Sequence[str]) -> tuple[Path, str, list[str]]:
    """The folder of sets, the set, and the paths; the first word may be either."""
    from winvllm_build import data
    from winvllm_build.cli.patches import chosen_set
    from winvllm_build.review.find import names_set

    root = patches.absolute() if patches else data.patches_root()
    if tag is None and words and names_set(root, words[0]):
        return root, words[0], list(words[1:])
    root, name = chosen_set(patches, tag, None)
    return root, name, list(words)


def _found(
    draft: Draft, among: Sequence[Patch], words: Sequence[str], *, every: bool
) -> tuple[list[Patch], bool]:
    """The patches the words stand for, and whether a word stands for several files."""
    from winvllm_build.review.find import matching

    found: list[Patch] = []
    undecided = False
    for word in words:
        some = matching(among, word, folder=draft.folder)
        undecided = undecided or (not every and len({(patch.target, patch.path) for patch in some}) > 1)
        found += [patch for patch in some if patch not in found]
    return (found if words else list(among)), undecided


def _compare(
    names: tuple[str, str], words: Sequence[str], wanted: Wanted, patches: Path | None, *,
    as_json: bool, exit_code: bool,
) -> int:  # fmt: skip
    from winvllm_build import data
    from winvllm_build.review.comparison import pages, summary, totals
    from winvllm_build.review.find import matching, read_set
    from winvllm_build.review.interdiff import compare
    from winvllm_build.review.listing import delta_data

    root = patches.absolute() if patches else data.patches_root()
    old, new = (read_set(root, name) for name in names)
    deltas = [
        delta
        for delta in compare(old.patches, new.patches)
        if any(wanted.takes(patch) for patch in delta.patches)
    ]
    if words:
        both = [patch for delta in deltas for patch in delta.patches]
        chosen = [p for word in words for p in matching(both, word, folder=new.folder)]
        deltas = [delta for delta in deltas if any(patch in chosen for patch in delta.patches)]
    differ = totals(deltas).differ
    if as_json:
        render.data({"old": names[0], "new": names[1], "differ": differ, "summary": summary(deltas),
                     "patches": [delta_data(delta) for delta in deltas]})  # fmt: skip
    else:
        _print(pages(deltas))
        render.out(f"{names[0]} -> {names[1]}: {summary(deltas)}")
    return FINDINGS if exit_code and differ else 0


def _note(draft: Draft) -> None:
    for notice in draft.notices:
        render.note(f"note: {notice}")


def _show_pages(patches: Sequence[Patch], *, why: bool) -> None:
    from winvllm_build.review.page import page, reasons

    for number, patch in enumerate(patches):
        if number:
            render.out("")
        _print(reasons(patch) if why else page(patch))


def _print(lines: Iterable[Line]) -> None:
    """In colours on a terminal, as they are elsewhere."""
    if not sys.stdout.isatty():
        for line in lines:
            render.out(line.text)
        return
    terminal = render.console()
    for line in lines:
        terminal.print(line.text, style=LOOKS[line.look.value])


def _show_table(patches: Sequence[Patch], draft: Draft, *, as_json: bool) -> None:
    from winvllm_build.patchset.linecount import LineCount
    from winvllm_build.review.listing import patch_data, rows

    if as_json:
        render.data([patch_data(patch, whole=False) for patch in patches])
        return
    listed = rows(patches)
    several = len({row.target for row in listed}) > 1
    table = [_cells(row, several=several) for row in listed]
    if sys.stdout.isatty() and table:
        _coloured(table)
    else:
        _plain(table)
    total = sum((row.lines for row in listed), LineCount())
    render.out(f"{draft.tag}: {len(listed)} patches, +{total.added} -{total.removed} lines")


def _cells(row: Row, *, several: bool) -> tuple[str, ...]:
    layer = f"{row.layer}/{row.target}" if several else row.layer
    lines = f"+{row.lines.added} -{row.lines.removed}"
    return layer, row.path, lines, ",".join(row.topics), ",".join(row.hazards), row.subject


def _plain(table: Sequence[tuple[str, ...]]) -> None:
    from winvllm_build.review.text import harmless

    widths = [max((len(cell) for cell in column), default=0) for column in zip(*table, strict=True)]
    for cells in table:
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)]
        render.out(harmless("  ".join(padded).rstrip()))


def _coloured(table: Sequence[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from winvllm_build.review.text import harmless

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for title, style in zip(COLUMNS, ("dim", "bold", "green", "cyan", "magenta", ""), strict=True):
        shown.add_column(title, style=style, overflow="fold")
    for cells in table:
        shown.add_row(*(Text(harmless(cell)) for cell in cells))
    render.console().print(shown)
