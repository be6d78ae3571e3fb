"""`winvllm-build wheel`: what a wheel holds, whether that is right, and whether it installs and imports."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.errors import FindingsError, UsageError

if TYPE_CHECKING:
    from winvllm_build.wheel.check import CheckRequest
    from winvllm_build.wheel.report import Report

HELP = """Check a wheel, or install it into a fresh environment and look at it from there.

\b
Examples:
  winvllm-build wheel check vllm-0.33.0+cu130.sm86-cp38-abi3-win_amd64.whl
  winvllm-build wheel check FILE --profile sm86      against what a profile asks for
  winvllm-build wheel check FILE --tag v0.33.0       a wheel that does not say how it was made
  winvllm-build wheel verify FILE                    with pip, and with uv where it is there
  winvllm-build wheel verify FILE --beside .venv/bin/python    torch and the rest from there
"""
CHECK = """What can be told without installing: archive, RECORD, metadata, extensions, device code, patches.

\b
Examples:
  winvllm-build wheel check FILE
  winvllm-build wheel check FILE --profile sm86 --json
  winvllm-build wheel check FILE --tag v0.33.0 --layer gcc12 --extension _C_stable_libtorch
Exit code 0: nothing, or advice alone. 1: problems. 17: no readable wheel.
"""
VERIFY = """Install a wheel into a fresh environment and import it from outside the source.

\b
Examples:
  winvllm-build wheel verify FILE
  winvllm-build wheel verify FILE --installer uv --python .venv/bin/python
  winvllm-build wheel verify FILE --beside .venv/bin/python
  winvllm-build wheel verify FILE --requirements     installs all it requires: several GB
Exit code 0: what this machine could do went well. 1: something failed. 17: no readable wheel.
"""
SHOWN = 40


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.command("check", help=CHECK)(check)
    group.command("verify", help=VERIFY)(verify)
    app.add_typer(group, name="wheel")


def check(
    *,
    file: Annotated[Path, typer.Argument(help="The .whl file.")],
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="What it should be for; a name or a TOML file.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="The vLLM tag whose patches it should have.")] = None,
    layer: Annotated[
        list[str] | None, typer.Option("--layer", metavar="NAME", help="Optional layer; repeat for more.")
    ] = None,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", metavar="ARCH", help="It should run on this; repeat for more."),
    ] = None,
    extension: Annotated[
        list[str] | None, typer.Option("--extension", metavar="NAME", help="It must hold this one; repeat.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    from winvllm_build.wheel import check as checks

    request = _request(
        file, profile=profile, tag=tag, layers=layer or [], archs=arch or [], names=extension or []
    )
    report = checks.check(request)
    if as_json:
        render.data(report.as_data())
    else:
        _show(report)
    return FindingsError.exit_code if report.problems else 0


def _request(
    file: Path,
    *,
    profile: str | None,
    tag: str | None,
    layers: list[str],
    archs: list[str],
    names: list[str],
) -> CheckRequest:
    from winvllm_build import arch
    from winvllm_build.wheel.check import CheckRequest

    if layers and tag is None and profile is None:
        raise UsageError("--layer needs --tag or --profile", fix=f"--tag TAG --layer {layers[0]}")
    try:
        wanted: tuple[str, ...] | None = arch.parsed(archs) if archs else None
    except ValueError as error:
        raise UsageError(str(error), fix="--arch 8.6") from error
    if profile is not None:
        from winvllm_build.cli.profiles import resolve_profile

        overrides = {"tag": tag, "source.layers": layers or None}
        found = resolve_profile(profile, settings=[], overrides=overrides).profile
        tag, layers = found.tag, [*found.source.layers]
        wanted = wanted or found.cuda.arch_list
        names = [*names, *found.build.targets]
    return CheckRequest(file=file, tag=tag, layers=tuple(layers), archs=wanted, extensions=tuple(names))


def _show(report: Report) -> None:
    render.out(f"{report.file.name}")
    render.out(
        f"  {render.size(report.size)}, {report.members} files, {render.size(report.unpacked)} unpacked;"
        f" longest name {len(report.longest)} characters"
    )
    for library in report.libraries:
        code = f"; {', '.join(sorted(library.code))}" if library.code else ""
        glibc = f"; glibc {library.glibc}" if library.glibc else ""
        render.out(f"  {library.name} ({render.size(library.size)}): {library.machine}{glibc}{code}")
    compared = f"{report.patches} patched files compared" if report.patches else "patched files not compared"
    render.out(f"  {report.compiled} Python files compiled; {compared}")
    for one in report.findings[:SHOWN]:
        where = f"{one.member}: " if one.member else ""
        render.out(f"{one.severity.value}: {one.subject.value}: {where}{one.what}")
    if len(report.findings) > SHOWN:
        render.out(f"and {len(report.findings) - SHOWN} more; --json has all of them")
    for fix, subjects in _fixes(report).items():
        render.out(f"fix: {fix} ({', '.join(subjects)})")
    render.out(f"{len(report.problems)} problems" if report.problems else "no problem found")


def _fixes(report: Report) -> dict[str, list[str]]:
    """What to do, once each, by the subjects that ask for it."""
    found: dict[str, list[str]] = {}
    for one in report.findings:
        subjects = found.setdefault(one.fix, [])
        if one.subject.value not in subjects:
            subjects.append(one.subject.value)
    return found


def verify(
    *,
    file: Annotated[Path, typer.Argument(help="The .whl file.")],
    python: Annotated[
        Path | None, typer.Option(help="Makes the environments; this tool's own interpreter by default.")
    ] = None,
    installer: Annotated[
        list[str] | None, typer.Option("--installer", help="pip or uv; both by default.")
    ] = None,
    beside: Annotated[
        Path | None, typer.Option(help="An interpreter whose packages (torch, ...) are to be visible.")
    ] = None,
    requirements: Annotated[
        bool, typer.Option("--requirements", help="Install what the wheel requires, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    from winvllm_build.wheel.verify import Installer, Step, Verdict, VerifyRequest
    from winvllm_build.wheel.verify import verify as verified

    known = [one.value for one in Installer]
    for name in installer or ():
        if name not in known:
            raise UsageError(f"no installer {name!r}", fix=f"--installer {' or '.join(known)}")
    request = VerifyRequest(
        file=file, python=(python or Path(sys.executable)).absolute(),
        beside=beside.absolute() if beside else None,
        installers=tuple(Installer(name) for name in installer or known), requirements=requirements,
    )  # fmt: skip
    steps: list[Step] = []
    for step in verified(request):
        steps.append(step)
        if not as_json:
            render.out(f"{step.installer.value:<4} {step.verdict.value:<9} {step.name}: {step.detail}")
    failed = [step for step in steps if step.verdict is Verdict.FAILED]
    if as_json:
        render.data({"file": str(file), "ok": not failed, "steps": [step.as_data() for step in steps]})
    return FindingsError.exit_code if failed else 0
