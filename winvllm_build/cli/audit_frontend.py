"""`winvllm-build audit frontend`: the real Windows CUDA front ends over every file that is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import JsonOption, PatchesOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from winvllm_build.audit.frontend.audit import Judged, Progress, Result
    from winvllm_build.audit.frontend.outcome import Side
    from winvllm_build.audit.frontend.sides import Room
    from winvllm_build.cli.meter import Meter
    from winvllm_build.profile.loader import ResolvedProfile

HELP = """Compile for Windows on Linux as far as that goes: NVIDIA's own front ends, under Wine.

Each .cu file goes through `cudafe++.exe` in Microsoft's mode with Microsoft's STL, each host .cpp file
through clang in that mode; what cl.exe would get is searched for what it refuses. A file takes 8 to 30 s of
one processor and up to 1.5 GB; what is done is kept, a second run goes on. Needs wine64, libwine-dev,
clang-19 and a checkout of Microsoft's STL; what lacks is told at once. See docs/frontend.md.

\b
Examples:
  winvllm-build audit frontend --stl ~/STL                       the newest set, patched
  winvllm-build audit frontend v0.14.1 --stl ~/STL --both        before and after the patches
  winvllm-build audit frontend v0.14.1 'csrc/attention/*.cu' --stl ~/STL.zip
  winvllm-build audit frontend --stl ~/STL --dependency flash-attn=../flash-attention 'flash-attn/*_sm80.cu'
  winvllm-build audit frontend v0.14.1 --layer fast-compile --stl ~/STL
  winvllm-build audit frontend --stl ~/STL --device 'csrc/attention/merge_attn_states.cu'
Exit code 0: every file passes; 1: findings.
"""
SHOWN = 3
"""Messages of one unit in the table; `--json` has more."""


def register(app: typer.Typer) -> None:
    app.command("frontend", help=HELP)(frontend)


def frontend(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TAG] [FILE]...", help="A vLLM tag; patterns of source files."),
    ] = None,
    *,
    stl: Annotated[
        Path | None, typer.Option("--stl", metavar="PATH", help="Microsoft's STL: a checkout or an archive.")
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", metavar="ARCH", help="CUDA architecture; repeat for more. Default: 8.6."),
    ] = None,
    before: Annotated[bool, typer.Option("--before", help="The unpatched tree.")] = False,
    both: Annotated[bool, typer.Option("--both", help="The unpatched tree and the patched one.")] = False,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="NAME", help="With an optional layer of patches; repeat for more."),
    ] = None,
    device: Annotated[
        bool, typer.Option("--device", help="Also the kernels that the patches change, with cicc.exe.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every generated kernel; default: one of each folder.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Files at a time.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what earlier runs found.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    dependency: Annotated[
        list[str] | None,
        typer.Option("--dependency", metavar="NAME=PATH", help="Your own folder of a dependency."),
    ] = None,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.audit.frontend import audit, record
    from winvllm_build.cli.audit_device import folders
    from winvllm_build.cli.meter import Meter

    tag, files = _words(words or [])
    own = folders(dependency or [])
    with Meter() as meter:
        request = audit.Request(
            room=_room(_profile(tag, arch, layer, patches), patches, meter, own, offline=offline),
            sides=_sides(before=before, both=both),
            files=tuple(files),
            stl=stl.absolute() if stl is not None else None,
            device=device,
            everything=everything,
            jobs=jobs,
            fresh=fresh,
        )
        result = audit.run(request, lambda one, progress, left: _tell(meter, one, progress, left))
    if as_json:
        render.data(record.as_data(result))
    else:
        _show(result)
    return _code(result)


def _words(words: list[str]) -> tuple[str | None, list[str]]:
    """A first word without a slash and a suffix is the tag."""
    if words and "/" not in words[0] and not words[0].endswith((".cu", ".cpp", ".cuh", "*")):
        return words[0], words[1:]
    return None, words


def _sides(*, before: bool, both: bool) -> tuple[Side, ...]:
    from winvllm_build.audit.frontend.outcome import Side

    if both:
        return (Side.BEFORE, Side.AFTER)
    return (Side.BEFORE,) if before else (Side.AFTER,)


def _profile(
    tag: str | None, arch: list[str] | None, layers: list[str] | None, patches: Path | None
) -> ResolvedProfile:
    from winvllm_build import data
    from winvllm_build.build import equipment
    from winvllm_build.cli.profiles import resolve_profile
    from winvllm_build.patchset import patchset

    root = patches or data.patches_root()
    chosen = tag or patchset.newest(root)
    overrides = {"tag": chosen, "cuda.arch_list": arch or ["8.6"], "source.layers": layers or []}
    resolved = resolve_profile(None, overrides=overrides)
    equipment.layers_of(resolved.profile, root)  # a wrong name is told before the work begins
    return resolved


def _room(
    resolved: ResolvedProfile,
    patches: Path | None,
    meter: Meter,
    dependencies: Mapping[str, Path],
    *,
    offline: bool,
) -> Room:
    from winvllm_build import data
    from winvllm_build.audit.frontend.sides import Room
    from winvllm_build.index import Index
    from winvllm_build.workspace import Workspace

    workspace = Workspace.default()
    return Room(
        resolved=resolved,
        workspace=workspace,
        patches=patches or data.patches_root(),
        index=Index(workspace, offline=offline, on_event=meter.note),
        offline=offline,
        tell=meter.note,
        dependencies=dependencies,
    )


def _tell(meter: Meter, one: Judged, progress: Progress, left: float) -> None:
    words = f"[{progress.done}/{progress.total}] {one.side.value} {one.unit.path}: {one.verdict.value}"
    spent = "of an earlier run" if one.kept else f"{render.duration(one.cpu)} CPU"
    eta = f", ETA {render.duration(left)}" if left else ""
    meter.note(f"{words} ({spent}{eta})")


def _show(result: Result) -> None:
    from winvllm_build.audit.frontend import record
    from winvllm_build.audit.frontend.outcome import Side, Verdict
    from winvllm_build.cli.rows import Row, Section, counted, show_sections

    sections = []
    for side in Side:
        listed = [one for one in result.judged if one.side is side]
        if not listed:
            continue
        failing = [one for one in listed if one.verdict is not Verdict.PASS or _linted(one)]
        rows = [
            Row(
                one.verdict.value,
                one.unit.path,
                " ".join(record.hazards(one)),
                _first(one),
                style=_style(one),
            )
            for one in failing
        ]
        passed = len(result.having(Verdict.PASS, side))
        note = f"{passed} of {counted(len(listed), 'file')} pass"
        sections.append(Section(f"{_name(result, side)} {side.value} the patches", tuple(rows), note))
    show_sections(sections)
    if result.left_out:
        render.out(f"{result.left_out} generated files are left out; --all takes them")


def _name(result: Result, side: Side) -> str:
    from winvllm_build.audit.frontend.outcome import Side
    from winvllm_build.build.trees import layers_suffix

    return result.tag + (layers_suffix(result.layers) if side is Side.AFTER else "")


def _first(one: Judged) -> str:
    said = [message for outcome in one.outcomes for message in (*outcome.messages, *outcome.lint)]
    shown = [f"{m.file}({m.line}): {m.text}" if m.file else m.text for m in said[:SHOWN]]
    more = f" (and {len(said) - SHOWN} more)" if len(said) > SHOWN else ""
    return "; ".join(shown) + more


def _linted(one: Judged) -> bool:
    return any(outcome.lint for outcome in one.outcomes)


def _style(one: Judged) -> str:
    from winvllm_build.audit.frontend.outcome import Verdict

    return "red" if one.verdict is Verdict.FAIL else "yellow"


def _code(result: Result) -> int:
    from winvllm_build.audit.frontend.outcome import Verdict
    from winvllm_build.errors import FindingsError

    bad = any(one.verdict is not Verdict.PASS or _linted(one) for one in result.judged)
    return FindingsError.exit_code if bad else 0
