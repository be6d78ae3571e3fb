"""`winvllm-build report`: what a build did, when, and what it took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import outfile, render
from winvllm_build.errors import UsageError

if TYPE_CHECKING:
    from winvllm_build.build.report.comparison import Comparison
    from winvllm_build.build.report.run import Run

HELP = """What a build did: slowest files, memory, waiting, what was reused, and what another run took.

\b
Examples:
  winvllm-build report                              the last run in the workspace
  winvllm-build report --profile sm86 --html r.html a page with timeline and memory, for any browser
  winvllm-build report --compare 2                  beside the run before
  winvllm-build report BUILD --run 3 --trace t.json for ui.perfetto.dev or chrome://tracing
  winvllm-build report --runs                       the runs that are kept
A build that ran without a record is read from Ninja's own log, which has times alone.
"""


def register(app: typer.Typer) -> None:
    app.command("report", help=HELP)(report)


def report(
    *,
    build: Annotated[
        Path | None,
        typer.Argument(help="Build folder or record (.ndjson); default: where something ran last."),
    ] = None,
    profile: Annotated[str | None, typer.Option("--profile", "-p", help="The build of this profile.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="1 is the last, 2 the one before; or a name.")
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="RUN", help="A run as above, a build folder, or a record."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Write Chrome trace events.")
    ] = None,
    runs_only: Annotated[bool, typer.Option("--runs", help="List the runs that are kept.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    if build is not None and profile is not None:
        raise UsageError("a build folder and a profile name two builds", fix="leave one of them out")
    outfile.require_folder(html, trace)
    if build is not None and build.is_file():
        return _report(
            _record(build, run), _other(build.parent.parent, compare), html, trace, as_json=as_json
        )
    folder = build.absolute() if build is not None else _folder(profile)
    if runs_only:
        return _list(folder, as_json=as_json)
    from winvllm_build.build.report import runs

    return _report(runs.chosen(folder, run), _other(folder, compare), html, trace, as_json=as_json)


def _folder(profile: str | None) -> Path:
    from winvllm_build.build.report import folders
    from winvllm_build.workspace import Workspace

    workspace = Workspace.default()
    if profile is None:
        return folders.newest(workspace)
    from winvllm_build import data
    from winvllm_build.build import equipment, trees
    from winvllm_build.cli.profiles import resolve_profile

    found = equipment.for_tag(resolve_profile(profile, overrides={}), data.patches_root()).profile
    layers = equipment.layers_of(found, data.patches_root())
    tree = trees.tree_name(found.tag, found.cuda.arch_list, layers.optional)
    return folders.newest(workspace, f"{tree}-{found.build.type.value.lower()}-")


def _record(file: Path, run: str | None) -> Run:
    from winvllm_build.build.report import runs

    if run is not None:
        raise UsageError(f"{file} is one run", fix="leave --run out, or name the build folder")
    return runs.load(file)


def _other(folder: Path, wanted: str | None) -> Run | None:
    from winvllm_build.build.report import runs

    if wanted is None:
        return None
    named = Path(wanted)
    if named.is_file():
        return runs.load(named)
    return runs.chosen(named.absolute(), None) if named.is_dir() else runs.chosen(folder, wanted)


def _report(run: Run, other: Run | None, html: Path | None, trace: Path | None, *, as_json: bool) -> int:
    from winvllm_build.build.report import comparison, summary
    from winvllm_build.cli import report_text
    from winvllm_build.cli.rows import show_sections

    found = summary.summarise(run)
    against = None if other is None else comparison.compare(run, other)
    _write(run, against, html, trace)
    if as_json:
        made = summary.as_data(run, found)
        render.data({**made, "comparison": None if against is None else comparison.as_data(against)})
    else:
        show_sections(tuple(report_text.sections(run, found, against)))
    return 0


def _write(run: Run, against: Comparison | None, html: Path | None, trace: Path | None) -> None:
    from winvllm_build.workspace import write_atomic

    if html is not None:
        from winvllm_build.build.report import page

        write_atomic(html.absolute(), page.render(run, against).encode("utf-8"))
        render.note(f"wrote {html}")
    if trace is not None:
        from winvllm_build.build.report import trace as events

        content = json.dumps(events.trace(run), separators=(",", ":"))
        write_atomic(trace.absolute(), content.encode("ascii"))
        render.note(f"wrote {trace}")


def _list(folder: Path, *, as_json: bool) -> int:
    from winvllm_build.build.report import runs
    from winvllm_build.cli.rows import Row, Section, counted, show_sections

    known = [one.load() for one in runs.listed(folder)]
    if as_json:
        render.data({
            "build": str(folder),
            "runs": [
                {"name": run.name, "origin": run.origin.value, "ending": run.ending.value,
                 "seconds": round(run.seconds, 3), "edges": len(run.final)}
                for run in known
            ],
        })  # fmt: skip
        return 0
    rows = tuple(
        Row(
            str(number), run.name, counted(len(run.final), "edge"), render.duration(run.seconds),
            run.ending.value if run.origin.value == "record" else run.origin.value,
        )
        for number, run in enumerate(known, start=1)
    )  # fmt: skip
    show_sections((Section(title=f"Runs in {folder}", rows=rows, note="" if rows else "none"),))
    return 0
