"""`winvllm-build scan`: where a tag or a folder would break under MSVC or on Windows."""

from __future__ import annotations

import contextlib
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import JsonOption, LayerOption, PatchesOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winvllm_build.audit.coverage import Selection
    from winvllm_build.audit.newsince import Since, Work
    from winvllm_build.audit.scan import Scan
    from winvllm_build.audit.subject import Doors, Subject, Wanted

HELP = """Find what breaks under MSVC or on Windows in a tag or a folder, without Windows.

Read are the C++ and CUDA sources that are compiled, with what the tree's own generators write (they are
executed in a temporary folder), Python below vllm/, CMake, setup.py, requirements and Rust. Each place is
live, guarded by a condition on Windows, or dead there.

\b
Examples:
  winvllm-build scan v0.14.1 --patched          what our set leaves; no tree is needed
  winvllm-build scan v0.33.0 --summary          any release of the package index
  winvllm-build scan ../vllm --path "csrc/*" --severity compile
  winvllm-build scan v0.19.0 --new-since v0.14.1
  winvllm-build scan v0.14.1 --patched --sarif scan.sarif
  winvllm-build scan --explain D12
A hit that is true but harmless stands in patches/TAG/suppressions.toml with its reason; with --patched an
entry that matches nothing any more is an error.
Exit code 0: nothing live is left but advice; 1: something is, or a suppression is wrong.
With --new-since only what is new counts; with --hazard, --path, --severity, --reach only what they admit.
"""
FINDINGS: Final = 1

Member = TypeVar("Member", bound=Enum)
Hazards = Annotated[
    list[str] | None, typer.Option("--hazard", metavar="ID", help="Only this hazard; repeat for more.")
]
Paths = Annotated[list[str] | None, typer.Option("--path", metavar="GLOB", help="Only these files.")]
Severities = Annotated[
    list[str] | None, typer.Option("--severity", help="Only compile, runtime or advisory; repeat for more.")
]
Reaches = Annotated[
    list[str] | None, typer.Option("--reach", help="Only build, start, use or corner; repeat for more.")
]


def register(app: typer.Typer) -> None:
    app.command(help=HELP)(scan)


def scan(
    name: Annotated[
        str | None, typer.Argument(metavar="[TAG|PATH]", help="Default: the newest tag with a set.")
    ] = None,
    *,
    patched: Annotated[bool, typer.Option("--patched", help="With the tag's patch set applied.")] = False,
    new_since: Annotated[
        str | None, typer.Option("--new-since", metavar="OLD", help="Only what OLD does not have.")
    ] = None,
    hazard: Hazards = None,
    path: Paths = None,
    severity: Severities = None,
    reach: Reaches = None,
    every: Annotated[bool, typer.Option("--all", help="Guarded and dead places too.")] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Only the table of hazards.")] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="ID", help="Print what is known about a hazard.")
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", help="Write SARIF 2.1.0 to this file, too.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit code 0 whatever is found.")] = False,
    layer: LayerOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    if explain is not None:
        return _explain(explain, patches, as_json=as_json)
    from winvllm_build.audit.newsince import selected
    from winvllm_build.cli import scan_text

    selection = _selection(hazard, path, severity, reach)
    wanted, doors = _wanted(name, patches, layer, patched=patched), _doors(offline=offline)
    made, since, tasks = _run(wanted, new_since, doors)
    coverage = made.coverage.of(selection)
    since = selected(since, selection) if since is not None else None
    tasks = tuple(task for task in tasks if any(selection.admits(place.hit) for place in task.places))
    if sarif is not None:
        scan_text.write_sarif(sarif, made, coverage, since, guarded=every)
        render.note(f"written: {sarif}")
    if as_json:
        render.data(scan_text.data(made, coverage, since, tasks))
    elif since is not None:
        scan_text.show_since(made, coverage, since, tasks, summary=summary)
    else:
        scan_text.show(made, coverage, every=every, summary=summary)
    failing = coverage.failing if since is None else since.failing
    return FINDINGS if (failing or coverage.faults) and not exit_zero else 0


def _run(wanted: Wanted, old: str | None, doors: Doors) -> tuple[Scan, Since | None, tuple[Work, ...]]:
    """The scan, and the comparison with an older tree where one is named."""
    from winvllm_build.audit.scan import scan as look
    from winvllm_build.audit.subject import opened

    with contextlib.ExitStack() as stack:
        subject = stack.enter_context(opened(wanted, doors))
        made = look(subject)
        if old is None:
            return made, None, ()
        return made, *_compare(wanted, subject, made, stack.enter_context(opened(_older(wanted, old), doors)))


def _older(wanted: Wanted, old: str) -> Wanted:
    """The older tree as the newer one is looked at: patched where that has a set."""
    from dataclasses import replace

    from winvllm_build.audit.subject import has_set

    older = replace(wanted, name=old, layers=(), patched=False)
    if wanted.patched and has_set(older):
        return replace(older, patched=True)
    if wanted.patched:
        render.note(f"note: {old} has no patch set: compared as upstream has it")
    return older


def _compare(wanted: Wanted, subject: Subject, made: Scan, before: Subject) -> tuple[Since, tuple[Work, ...]]:
    from winvllm_build.audit.newsince import compare, paths_since, work
    from winvllm_build.audit.scan import scan as look
    from winvllm_build.patchset.patchset import read

    older = look(before)
    where = paths_since(before, subject)
    since = compare(older.title, [place.hit for place in older.coverage.left], made.coverage.left, where)
    known = read(wanted.root, before.name, lenient=True).patches if before.set_folder is not None else ()
    return since, work(since, known, where)


def _wanted(name: str | None, patches: Path | None, layers: list[str] | None, *, patched: bool) -> Wanted:
    from winvllm_build import data
    from winvllm_build.audit.subject import Wanted
    from winvllm_build.cli.patches import chosen_set
    from winvllm_build.errors import UsageError

    if layers and not patched:
        raise UsageError(
            "--layer has no meaning without --patched", fix="add --patched, or leave out --layer"
        )
    if name is None:
        root, name = chosen_set(patches, None, None)
    else:
        root = patches.absolute() if patches else data.patches_root()
    return Wanted(name=name, root=root, patched=patched, layers=tuple(layers or ()))


def _doors(*, offline: bool) -> Doors:
    from winvllm_build.audit.subject import Doors
    from winvllm_build.index import Index
    from winvllm_build.workspace import Workspace

    workspace = Workspace.default()
    return Doors(
        workspace=workspace, index=Index(workspace, offline=offline, on_event=render.note), offline=offline,
        tell=render.note,
    )  # fmt: skip


def _selection(
    hazards: list[str] | None,
    paths: list[str] | None,
    severities: list[str] | None,
    reaches: list[str] | None,
) -> Selection:
    from winvllm_build.audit.coverage import Selection
    from winvllm_build.audit.hazard import Severity
    from winvllm_build.audit.hit import Reach

    return Selection(
        hazards=tuple(_hazard(name) for name in hazards or ()), paths=tuple(paths or ()),
        severities=_members(Severity, severities or (), "--severity"),
        reaches=_members(Reach, reaches or (), "--reach"),
    )  # fmt: skip


def _hazard(name: str) -> str:
    from winvllm_build.audit.hazard import catalogue
    from winvllm_build.errors import UsageError
    from winvllm_build.suggest import did_you_mean

    if name.upper() not in catalogue():
        raise UsageError(
            f"there is no hazard {name!r}{did_you_mean(name, catalogue())}",
            fix="winvllm-build scan --all --summary lists those of a tag; docs/hazards lists all",
        )
    return name.upper()


def _members(kind: type[Member], words: Sequence[str], option: str) -> tuple[Member, ...]:
    from winvllm_build.errors import UsageError
    from winvllm_build.suggest import did_you_mean

    known = {member.name.lower(): member for member in kind}
    for word in words:
        if word.lower() not in known:
            raise UsageError(
                f"{option} {word}: no such word{did_you_mean(word, known)}", fix=f"known: {', '.join(known)}"
            )
    return tuple(known[word.lower()] for word in words)


def _explain(name: str, patches: Path | None, *, as_json: bool) -> int:
    from winvllm_build import data
    from winvllm_build.audit.explanation import answers, markdown
    from winvllm_build.audit.hazard import catalogue
    from winvllm_build.audit.scan import rules_of
    from winvllm_build.cli import scan_text

    hazard = catalogue()[_hazard(name)]
    if as_json:
        render.data(scan_text.hazard_data(hazard))
        return 0
    root = patches.absolute() if patches else data.patches_root()
    known = answers(root).get(hazard.id, ())
    render.out(markdown(hazard, known, rules_of(hazard)).rstrip("\n"))
    return 0
