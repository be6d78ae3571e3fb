"""`winvllm-build audit device`: the kernels of a patch set compiled before and after, and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import FINDINGS, JsonOption, PatchesOption, TagArgument, TagOption, chosen_set
from winvllm_build.cli.rows import Row, Section, counted, show_sections

if TYPE_CHECKING:
    from winvllm_build.audit.device.audit import Done, Report
    from winvllm_build.audit.device.record import Unit

MOST = 12
"""Differences of one unit that are shown; where nearly all differ, the rest says no more."""
HELP = """Compile every patched kernel before and after, on Linux, and compare what comes out.

Upstream's CMake is configured and says how each source is compiled; nothing is built. Where the
preprocessor leaves the same text, that is the proof. Otherwise nvcc's PTX is compared kernel by kernel, and
the host's part as text or as assembly. Generators of kernels are run before and after. What does not compile
here is unproven. A unit takes one to five minutes and 3 GB; what is proven already, by this set's record or
for the same contents by another's, is not compiled again.

\b
Examples:
  winvllm-build audit device                      the newest set
  winvllm-build audit device v0.14.1 --jobs 1
  winvllm-build audit device --arch 8.9 --arch 12.0
  winvllm-build audit device --dependency cutlass=../cutlass --record
Exit code 0: nothing differs, or a patch's header says why; 1: something else differs.
"""


def register(app: typer.Typer) -> None:
    app.command("device", help=HELP)(device)


def device(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", help="Compute capability to configure for; repeat for more. Default: 8.6, and "
                     "for files that such a build leaves out the first that has them."),
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option("--unit", metavar="SOURCE", help="Compile it too; repeat for more.")
    ] = None,
    every: Annotated[bool, typer.Option("--every", help="All units that include a patched header.")] = False,
    dependency: Annotated[
        list[str] | None,
        typer.Option("--dependency", metavar="NAME=PATH", help="Your own folder of a dependency."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Units at a time, if memory allows.")] = 2,
    again: Annotated[bool, typer.Option("--again", help="Compile what is proven already.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Write device.json into the patch set.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:  # fmt: skip
    from winvllm_build import arch as archs
    from winvllm_build.audit.device import audit as room
    from winvllm_build.audit.device.setting import Wanted
    from winvllm_build.errors import UsageError
    from winvllm_build.index import Index
    from winvllm_build.patchset.patchset import load
    from winvllm_build.workspace import Workspace

    root, name = chosen_set(patches, given, tag)
    workspace = Workspace.default()
    try:
        wanted_archs = tuple(dict.fromkeys(archs.normalised(one) for one in arch or ()))
    except ValueError as error:
        raise UsageError(str(error), fix="write it as in --arch 8.6") from error
    wanted = Wanted(
        patches=load(root, name), workspace=workspace, offline=offline, tell=render.note,
        index=Index(workspace, offline=offline, on_event=render.note),
        dependencies=folders(dependency or []),
    )  # fmt: skip
    request = room.Request(
        wanted=wanted, archs=wanted_archs, jobs=jobs, units=tuple(unit or ()), every=every, again=again,
        record=record,
    )  # fmt: skip
    report = room.run(request, _tell)
    if as_json:
        render.data(data(report))
    else:
        show(report)
    return FINDINGS if report.unexplained else 0


def folders(words: list[str]) -> dict[str, Path]:
    """The folders that `NAME=PATH` words name.

    Raises:
        UsageError: a word has another form.
    """
    from winvllm_build.errors import UsageError

    found: dict[str, Path] = {}
    for word in words:
        name, sign, path = word.partition("=")
        if not (name and sign and path):
            raise UsageError(f"--dependency {word}", fix="write NAME=PATH, as in cutlass=../cutlass")
        found[name] = Path(path)
    return found


def _tell(done: Done) -> None:
    render.note(f"[{done.number}/{done.total}] {done.name}: {_verdict(done.unit, done.why)}{_time(done)}")


def _time(done: Done) -> str:
    return " (in the record)" if done.reused else f" ({render.duration(done.seconds)})"


def _verdict(unit: Unit | None, why: str) -> str:
    if unit is None:
        return f"unproven: {why}"
    return f"{len(unit.differences)} differ" if unit.differences else "the same"


def show(report: Report) -> None:
    from winvllm_build.audit.device.record import NAMES

    units = [
        Row(
            done.name, f"{len(done.unit.differences)} differ" if done.unit.differences else "same",
            ", ".join(f"{number} {NAMES[kind]}" for kind, number in done.unit.compared.items()),
            style="same",
        )
        for done in report.done
        if done.unit is not None
    ]  # fmt: skip
    differing = [row for unit in report.units for row in _differing(unit)]
    open_ = [
        Row(found.path, f"{found.source or ''} {found.arch}".strip(), found.why, style="yellow")
        for found in report.unproven
    ]
    show_sections(
        [Section("compared", tuple(units)), Section("differing", tuple(differing)),
         Section("unproven", tuple(open_))]
    )  # fmt: skip
    render.out("")
    render.out(_summary(report))
    if report.record is not None:
        render.out(f"written: {report.record}")


def _differing(unit: Unit) -> list[Row]:
    rows = [
        Row(
            unit.source, found.kind.value, found.name, found.reason or "no header says why",
            style="yellow" if found.reason else "red",
        )
        for found in unit.differences[:MOST]
    ]  # fmt: skip
    more = len(unit.differences) - MOST
    return [*rows, Row(unit.source, "", f"and {more} more; --json has them all", "")] if more > 0 else rows


def _summary(report: Report) -> str:
    differing = sum(len(unit.differences) for unit in report.units)
    words = [counted(len(report.units), "unit") + " compared", counted(differing, "difference")]
    if report.unexplained:
        words.append(f"{len(report.unexplained)} of them unexplained")
    words.append(counted(len({found.path for found in report.unproven}), "file") + " with something unproven")
    return f"{report.tag}: {', '.join(words)} ({render.duration(report.seconds)})"


def data(report: Report) -> dict[str, Any]:
    import json

    from winvllm_build.audit.device.record import Records

    held: dict[str, Any] = json.loads(Records(units=report.units, unproven=report.unproven).serialise())
    return {
        "tag": report.tag, "seconds": round(report.seconds, 1), "record": report.record,
        "unexplained": len(report.unexplained), "units": held["units"], "unproven": held["unproven"],
    }  # fmt: skip
