"""`winvllm-build audit guards`: what Linux and ROCm see of each patch of a set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import FINDINGS, JsonOption, PatchesOption
from winvllm_build.cli.rows import Row, Section, counted, show_sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winvllm_build.audit.guard.judgement import Judgement, View
    from winvllm_build.patchset.patchset import PatchSet
    from winvllm_build.sources.source import Source

HELP = """Prove that Linux, for CUDA and for ROCm, sees what upstream wrote: patch by patch, without a tree.

identical: nothing differs once the conditions on Windows are decided. neutral: what differs was proven to
mean the same; the ground is shown. changed: nothing proves that. Each verdict is held against the field
Guard of the patch's header.

\b
Examples:
  winvllm-build audit guards                     the newest set; only problems and a summary
  winvllm-build audit guards v0.14.1 --all       every patch with its grounds
  winvllm-build audit guards csrc/core/math.hpp  one patch: a path, its end, or a glob
  winvllm-build audit guards --json
Exit code 0: all identical or neutral, and the headers agree; 1: something changed, or a header is wrong.
"""
STYLES = {"identical": "dim", "neutral": "", "changed": "red"}
SHOWN = 12
"""Changed tokens or lines of one patch in the table; `--all` and `--json` have them all."""


def register(app: typer.Typer) -> None:
    app.command("guards", help=HELP)(guards)


def guards(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[TAG] [PATH]...", help="Default: the newest tag, all.")
    ] = None,
    *,
    tag: Annotated[str | None, typer.Option("--tag", help="The same as TAG.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every patch, not only problems.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.audit.device import record
    from winvllm_build.audit.guard import check, pair

    patch_set, paths = _meant(patches, tag, words or [])
    source = _source(patch_set, offline=offline)
    with pair.opened(patch_set, source) as pairs:
        found = check.check(pairs, record.read(patch_set.folder), only=paths)
    missing = check.uncovered(patch_set)
    if as_json:
        render.data({"tag": patch_set.tag, "source": source.description, "uncovered": list(missing),
                     "patches": [_data(one) for one in found]})  # fmt: skip
    else:
        show(found, patch_set.tag, every=every or bool(paths), missing=missing)
    return FINDINGS if check.problems(found) else 0


def _meant(patches: Path | None, tag: str | None, words: Sequence[str]) -> tuple[PatchSet, list[str]]:
    """The set, and the paths that the words stand for; the first word may be a tag."""
    from winvllm_build import data
    from winvllm_build.cli.patches import chosen_set
    from winvllm_build.patchset.patchset import load
    from winvllm_build.review.find import matching, names_set

    root = patches.absolute() if patches else data.patches_root()
    rest = list(words)
    if tag is None and rest and names_set(root, rest[0]):
        tag = rest.pop(0)
    root, name = chosen_set(patches, tag, None)
    patch_set = load(root, name, allow_open=True)
    found = [one for word in rest for one in matching(patch_set.patches, word, folder=patch_set.folder)]
    return patch_set, list(dict.fromkeys(str(one.path) for one in found))


def _source(patch_set: PatchSet, *, offline: bool) -> Source:
    from winvllm_build.choices import SourceKind
    from winvllm_build.sources.source import acquire
    from winvllm_build.workspace import Workspace

    return acquire(
        patch_set.pin, kind=SourceKind.AUTO, location=None, workspace=Workspace.default(), offline=offline,
        on_event=render.note,
    )  # fmt: skip


def show(found: Sequence[Judgement], tag: str, *, every: bool, missing: Sequence[str] = ()) -> None:
    """The table, and the summary."""
    listed = [one for one in found if every or not one.is_fine]
    rows = [Row("cuda", "rocm", "path", "grounds", style="bold")] if listed else []
    for one in listed:
        grounds = "; ".join(dict.fromkeys(ground.words for ground in one.grounds))
        cells = one.cuda.verdict.value, one.rocm.verdict.value, _named(one), grounds
        rows.append(Row(*cells, style=STYLES[one.verdict.value] if one.is_fine else "red"))
        rows += [Row("", "", f"  {words}", "", style="dim") for words in _details(one)]
    show_sections([Section("", tuple(rows))])
    if listed:
        render.out("")
    counts = [f"{sum(1 for one in found if one.verdict.value == word)} {word}" for word in STYLES]
    wrong = sum(1 for one in found if one.disagreement)
    told = f"; {counted(wrong, 'header')} to correct" if wrong else ""
    render.out(f"{tag}: {counted(len(found), 'file')}: {', '.join(counts)}{told}")
    for words in missing:
        render.out(f"not covered: {words}")


def _named(one: Judgement) -> str:
    from winvllm_build.patchset.manifest import DEFAULT_LAYER

    return one.path if one.layer == DEFAULT_LAYER.name else f"{one.layer}: {one.path}"


def _details(one: Judgement) -> list[str]:
    """What changed, why no ground was confirmed, and what to do."""
    if one.is_fine:
        return []
    bad = one.verdict.value == "changed"
    view = one.cuda if one.cuda.verdict is one.verdict else one.rocm
    told = list(view.left) if bad else []
    if len(told) > SHOWN:
        told = [*told[:SHOWN], f"... and {len(told) - SHOWN} more"]
    told += [f"open: {words}" for words in view.open]
    told += [f"header: {one.disagreement}"] if one.disagreement else []
    return [*told, *([f"fix: {one.fix}"] if one.fix else [])]


def _data(one: Judgement) -> dict[str, Any]:
    return {
        "layer": one.layer, "path": one.path, "verdict": one.verdict.value, "guard": one.guard,
        "disagreement": one.disagreement, "fix": one.fix, "cuda": _view(one.cuda), "rocm": _view(one.rocm),
    }  # fmt: skip


def _view(view: View) -> dict[str, Any]:
    return {
        "verdict": view.verdict.value,
        "grounds": [{"ground": one.ground.value, "detail": one.detail} for one in view.grounds],
        "changes": list(view.changes), "left": list(view.left), "open": list(view.open),
    }  # fmt: skip
