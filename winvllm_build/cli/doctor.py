"""`winvllm-build doctor`: what is wrong with this machine, with a command for each finding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from winvllm_build.cli import detect, render, rows, upkeep
from winvllm_build.cli.profile_options import (
    ArchOption,
    CudaHomeOption,
    ProfileOption,
    PythonOption,
    SetOption,
    TagOption,
)
from winvllm_build.errors import UsageError

if TYPE_CHECKING:
    from winvllm_build.doctor.finding import Finding
    from winvllm_build.profile.loader import ResolvedProfile

HELP: Final = """What is wrong with this machine before a build finds out, and the command that repairs it.

Compilers, SDK, CUDA toolkits, torch, GPU and driver, Python, git, paths, memory, disks, leftovers; for the
profile's tag and architectures. Nothing is written or downloaded.

\b
Examples:
  winvllm-build doctor                    what is wrong, the gravest first
  winvllm-build doctor --profile sm120    for another profile
  winvllm-build doctor --write-profile my.toml    write one for this machine's cards, and check that
  winvllm-build doctor --all              also what is well, and what this system does not have
  winvllm-build doctor --json             every check as data
  winvllm-build doctor patches            the patch sets instead of the machine
Exit code 0: a build can start; 1: there is a problem, or with --strict a warning.
"""
FINDINGS: Final = 1
COLOURS: Final = {"problem": "red", "warning": "yellow", "advice": "cyan", "ok": "green"}


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, invoke_without_command=True, rich_markup_mode=None)
    group.callback()(doctor)
    group.command("patches", help=upkeep.PATCHES_HELP)(upkeep.doctor_patches)
    app.add_typer(group, name="doctor")


def doctor(
    context: typer.Context,
    *,
    profile: ProfileOption = None,
    tag: TagOption = None,
    arch: ArchOption = None,
    cuda_home: CudaHomeOption = None,
    python: PythonOption = None,
    write_profile: Annotated[
        Path | None,
        typer.Option(
            "--write-profile", metavar="FILE", help="Write what `profile detect` finds, and check it."
        ),
    ] = None,
    setting: SetOption = None,
    every: Annotated[bool, typer.Option("--all", "-a", help="Also what is well or does not apply.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    if context.invoked_subcommand is not None:
        return 0
    from winvllm_build.cli.profiles import resolve_profile
    from winvllm_build.doctor.finding import Status

    if write_profile is not None:
        if profile is not None:
            raise UsageError("--write-profile makes the profile that is checked", fix="leave --profile out")
        detect.write(write_profile, detect.detected(tag=tag))
        profile = str(write_profile)
    chosen = {"tag": tag, "cuda.arch_list": arch or None, "cuda.home": cuda_home}
    resolved = resolve_profile(
        profile, settings=setting or [], overrides={**chosen, "python.executable": python}
    )
    findings = _examined(resolved)
    failing = {Status.PROBLEM, Status.WARNING} if strict else {Status.PROBLEM}
    if as_json:
        render.data(_data(resolved, findings))
    else:
        _show(resolved, findings, every=every)
    return FINDINGS if any(one.status in failing for one in findings) else 0


def _examined(resolved: ResolvedProfile) -> tuple[Finding, ...]:
    from winvllm_build import data
    from winvllm_build.doctor import checks, collect
    from winvllm_build.patchset import patchset
    from winvllm_build.profile.findings import ToolkitFacts
    from winvllm_build.profile.validate import check, require
    from winvllm_build.workspace import Workspace

    patches = data.patches_root()
    known = check(resolved.profile, ToolkitFacts(patched_tags=patchset.tags(patches)))
    require([one for one in known if one.key == "tag"], resolved.origins)
    ground = collect.Ground(workspace=Workspace.default(), patches=patches, here=Path.cwd())
    return checks.examine(collect.collect(resolved, ground))


def _data(resolved: ResolvedProfile, findings: tuple[Finding, ...]) -> dict[str, object]:
    from winvllm_build.cli.plain import plain

    return {"findings": plain(findings), "profile": resolved.name, "tag": resolved.profile.tag}


def _show(resolved: ResolvedProfile, findings: tuple[Finding, ...], *, every: bool) -> None:
    from winvllm_build.doctor.finding import RANK, TELLING

    shown = [one for one in findings if every or one.status in TELLING]
    lines = [row for one in shown for row in _rows(one)]
    rows.show_sections([rows.Section("", tuple(lines))])
    counted = {status: sum(one.status is status for one in findings) for status in TELLING}
    told = [
        f"{counted[status]} {status.value}"
        for status in sorted(TELLING, key=lambda one: RANK[one])
        if counted[status]
    ]
    checks = len({one.id for one in findings})
    render.out(
        f"{resolved.name}, {resolved.profile.tag}: {checks} checks, {', '.join(told) or 'nothing wrong'}"
    )


def _rows(one: Finding) -> Iterator[rows.Row]:
    style = COLOURS.get(one.status.value, "")
    yield rows.Row(one.status.value, one.id, one.detail or one.title, style=style)
    for line in one.fix.splitlines():
        yield rows.Row("", "", f"fix: {line}")
