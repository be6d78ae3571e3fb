"""`winvllm-build audit`: all checks that need no Windows and that this machine allows, and each by itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from winvllm_build.cli import audit_device, audit_frontend, audit_guards, audit_scripts, render
from winvllm_build.cli.patches import JsonOption, PatchesOption, TagArgument
from winvllm_build.cli.rows import Row, Section, counted, show_sections

if TYPE_CHECKING:
    from winvllm_build.audit.overall import Line, Overall
    from winvllm_build.profile.loader import ResolvedProfile

HELP = """Check a patch set and our scripts for Windows, without Windows.

`winvllm-build audit [TAG]` is `winvllm-build audit all [TAG]`: every check that this machine allows.
docs/audit.md says what each proves and what not.

\b
Examples:
  winvllm-build audit                         the newest set, in seconds
  winvllm-build audit v0.14.1 --full          with compilers, where they are there
  winvllm-build audit device                  kernels compiled before and after
  winvllm-build audit guards                  what Linux and ROCm see of each patch
  winvllm-build audit scripts                 our .ps1, .bat and .sh files
"""
ALL_HELP = """Run every check that this machine allows, and say what none of them covered.

What is left after the patches (`scan`), what the patches do to Linux and ROCm (`audit guards`), whether the
record of compiled code is about these patches (`audit device`), and our scripts (`audit scripts`). With
--full also `audit device` and `audit frontend`, where their tools are there.

\b
Examples:
  winvllm-build audit
  winvllm-build audit v0.14.1 --json
  winvllm-build audit --strict                what was not run fails too, for CI
  winvllm-build audit --full --stl ~/STL
Exit code 0: nothing found; 1: a part found something.
"""
DEFAULT = "all"
TAG = re.compile(r"v?\d")
ARCH = "8.6"
"""What the front ends are configured for; `audit frontend --arch` takes others."""
FINDINGS = 1
STYLES = {"clean": "green", "found": "red", "failed": "red", "not run": "yellow"}


class _Group(TyperGroup):
    """A group that takes tags and options for arguments of `all`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer.Context is what typer passes
        meant = not args or TAG.match(args[0]) or (args[0].startswith("-") and args[0] != "--help")
        return super().parse_args(ctx, [DEFAULT, *args] if meant else args)


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, cls=_Group, rich_markup_mode=None)
    group.command(DEFAULT, help=ALL_HELP)(all_)
    audit_device.register(group)
    audit_guards.register(group)
    audit_frontend.register(group)
    audit_scripts.register(group)
    app.add_typer(group, name="audit")


def all_(
    tag: TagArgument = None,
    *,
    full: Annotated[bool, typer.Option("--full", help="Compile too, where the tools are there.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="What was not run fails too.")] = False,
    stl: Annotated[
        Path | None, typer.Option("--stl", metavar="PATH", help="Microsoft's STL, for the front ends.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.audit.overall import Setting, audit
    from winvllm_build.audit.parts import PARTS
    from winvllm_build.audit.subject import Doors
    from winvllm_build.cli.patches import chosen_set
    from winvllm_build.index import Index
    from winvllm_build.patchset.patchset import manifest_of
    from winvllm_build.workspace import Workspace

    root, chosen = chosen_set(patches, tag, None)
    manifest_of(root, chosen)
    workspace = Workspace.default()
    index = Index(workspace, offline=offline, on_event=render.note)
    doors = Doors(workspace=workspace, index=index, offline=offline, tell=render.note)
    setting = Setting(
        tag=chosen, root=root, doors=doors, stl=stl.absolute() if stl else None,
        profile=_profile(chosen) if full else None,
    )  # fmt: skip
    made = audit(setting, PARTS, full=full, tell=render.note)
    if as_json:
        render.data(data(made))
    else:
        show(made)
    fast = {part.name for part in PARTS if full or not part.slow}
    missed = strict and any(line.name in fast for line in made.not_run)
    return FINDINGS if made.found or made.failed or missed else 0


def _profile(tag: str) -> ResolvedProfile:
    from winvllm_build.cli.profiles import resolve_profile

    return resolve_profile(None, overrides={"tag": tag, "cuda.arch_list": [ARCH]})


def show(made: Overall) -> None:
    from winvllm_build.audit.overall import NEVER_COVERED

    uncovered = [(line.name, words) for line in made.lines for words in line.outcome.uncovered]
    sections = [Section("", tuple(_row(line) for line in made.lines))]
    sections += [
        Section(f"{line.name}: {line.outcome.fix}", tuple(Row(words) for words in line.outcome.findings))
        for line in made.found
    ]
    rows = [
        *(Row(name, words) for name, words in uncovered),
        *(Row("never", words) for words in NEVER_COVERED),
    ]
    show_sections([*sections, Section("not covered", tuple(rows))])
    found = f"{counted(len(made.found), 'part')} with findings" if made.found else "nothing found"
    left = f", {len(made.failed)} failed" if made.failed else ""
    left += f", {len(made.not_run)} not run" if made.not_run else ""
    render.out(
        f"{made.tag}: {counted(len(made.lines), 'part')}, {found}{left}, {render.duration(made.seconds)}"
    )


def data(made: Overall) -> dict[str, Any]:
    from winvllm_build.audit.overall import NEVER_COVERED

    return {
        "tag": made.tag, "found": bool(made.found), "seconds": round(made.seconds, 3),
        "never_covered": list(NEVER_COVERED),
        "parts": [
            {
                "name": line.name, "result": line.outcome.result.value, "words": line.outcome.words,
                "findings": list(line.outcome.findings), "uncovered": list(line.outcome.uncovered),
                "fix": line.outcome.fix, "seconds": round(line.seconds, 3),
            }
            for line in made.lines
        ],
    }  # fmt: skip


def _row(line: Line) -> Row:
    from winvllm_build.audit.overall import Result

    outcome = line.outcome
    broken = outcome.result in (Result.NOT_RUN, Result.FAILED)
    told = f"{outcome.words} ({outcome.fix})" if broken and outcome.fix else outcome.words
    seconds = "" if outcome.result is Result.NOT_RUN else render.duration(line.seconds)
    return Row(line.name, outcome.result.value, seconds, told, style=STYLES[outcome.result.value])
