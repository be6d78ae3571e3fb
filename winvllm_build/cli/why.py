"""`winvllm-build why`: what failed in the last build, of which class, and what to do; or what a log says."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winvllm_build.cli import render
from winvllm_build.errors import FindingsError, UsageError

if TYPE_CHECKING:
    from winvllm_build.build.diagnosis.finding import Finding
    from winvllm_build.build.diagnosis.lookup import BuildFolder
    from winvllm_build.workspace import Workspace

HELP = """Say why a build failed: the first real error, its class, the patch or hazard, what to do.

\b
Examples:
  winvllm-build why                              every failure of the last build
  winvllm-build why --profile sm86               of the last build of a profile
  winvllm-build why csrc/topk.cu                 one file: did it fail, when, its log; or what it took
  winvllm-build why --log build.log              any log: of pip, MSBuild, CMake, Ninja, or a whole CI job
  winvllm-build why --log - < job.txt            the same from standard input, in any code page
  winvllm-build why --rules                      everything that is known (docs/diagnosis.md)
The first error is told by its code, so that localised compilers are read as well; an error that no rule knows
is told as unknown. Exit code 0: nothing failed; 1: something did.
"""
STDIN: Final = "-"
LOGS: Final = (".log", ".txt", ".out")


def register(app: typer.Typer) -> None:
    app.command(help=HELP)(why)


def why(
    *,
    name: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|OUTPUT|LOG]", help="Source file, object, extension, or log."),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Profile whose last build is meant.")
    ] = None,
    build: Annotated[Path | None, typer.Option("--build", help="Build folder that is meant.")] = None,
    log: Annotated[
        str | None, typer.Option("--log", metavar="FILE|-", help="Read this log; - for standard input.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Patch set to look for the file in, with --log.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="List what is known.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    if rules:
        return _rules(as_json=as_json)
    if log is not None and (name or profile or build):
        raise UsageError("--log reads that log alone", fix="leave the other names out")
    if log is not None or _is_log(name):
        return _told(_of_log(log or str(name), tag), as_json=as_json)
    opened = _folder(profile, build)
    if name is None:
        return _last(opened, as_json=as_json)
    return _edge(opened, name, as_json=as_json)


def _is_log(name: str | None) -> bool:
    return name is not None and (name == STDIN or (name.lower().endswith(LOGS) and Path(name).is_file()))


def _of_log(name: str, tag: str | None) -> tuple[Finding, ...]:
    from winvllm_build import data
    from winvllm_build.build.diagnosis import lookup
    from winvllm_build.build.diagnosis.finding import findings

    sets = lookup.every_set(data.patches_root(), tag)
    if name == STDIN:
        return findings(sys.stdin.buffer.read(), sets=sets)
    file = Path(name).absolute()
    return lookup.read_log(file, lookup.BuildFolder(folder=file.parent, tree=None, sets=sets))


def _folder(profile: str | None, build: Path | None) -> BuildFolder:
    from winvllm_build import data
    from winvllm_build.build.diagnosis import lookup
    from winvllm_build.workspace import Workspace

    workspace = Workspace.default()
    if build is not None:
        if not build.is_dir():
            raise UsageError(f"{build} is no folder", fix="winvllm-build why without --build takes the last")
        folder = build.absolute()
    else:
        folder = lookup.last_folder(workspace, "" if profile is None else _prefix(profile, workspace))
    return lookup.open_folder(folder, data.patches_root())


def _prefix(profile: str, workspace: Workspace) -> str:
    """How the names of a profile's build folders start."""
    from winvllm_build import data
    from winvllm_build.build import equipment, trees
    from winvllm_build.cli.profiles import resolve_profile

    asked = equipment.for_tag(resolve_profile(profile, overrides={}), data.patches_root()).profile
    layers = equipment.layers_of(asked, data.patches_root())
    tree = trees.tree_folder(workspace, asked.tag, asked.cuda.arch_list, layers.optional)
    return f"{tree.name}-{asked.build.type.value.lower()}-"


def _last(opened: BuildFolder, *, as_json: bool) -> int:
    from winvllm_build.build.diagnosis import lookup

    found = lookup.what_failed(opened)
    if found or as_json:
        return _told(found, as_json=as_json, build=opened.folder)
    render.out(f"{opened.folder.name}: nothing failed in the last run")
    return 0


def _edge(opened: BuildFolder, name: str, *, as_json: bool) -> int:
    from winvllm_build.build.diagnosis import edgefacts, lookup
    from winvllm_build.cli import why_text

    output = lookup.output_of(opened, name)
    found = tuple(f for f in lookup.what_failed(opened) if output in f.failure.outputs)
    facts = edgefacts.read(opened.folder, output)
    if as_json:
        render.data({**facts.as_data(), **_data(found, opened.folder)})
        return _code(found)
    for line in why_text.edge(facts, failed=bool(found)):
        render.out(line)
    for line in why_text.report(found):
        render.out(line)
    return _code(found)


def _told(found: Sequence[Finding], *, as_json: bool, build: Path | None = None) -> int:
    from winvllm_build.cli import why_text

    if as_json:
        render.data(_data(found, build))
    elif not found:
        render.out("nothing failed according to this log")
    else:
        for line in why_text.report(found):
            render.out(line)
    return _code(found)


def _data(found: Sequence[Finding], build: Path | None) -> dict[str, Any]:
    known = {} if build is None else {"build": str(build)}
    return {**known, "failures": [finding.as_data() for finding in found]}


def _code(found: Sequence[Finding]) -> int:
    return FindingsError.exit_code if found else 0


def _rules(*, as_json: bool) -> int:
    from winvllm_build.build.diagnosis.rule import rulebook

    if as_json:
        render.data([rule.as_data() for rule in rulebook().values()])
        return 0
    for rule in rulebook().values():
        said = " ".join([*rule.codes, *rule.hazards])
        render.out(f"{rule.id:<32} {rule.kind.value:<10} {rule.title}" + (f" ({said})" if said else ""))
    return 0
