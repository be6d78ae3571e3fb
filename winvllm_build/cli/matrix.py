"""`winvllm-build matrix`: the jobs of a CI that builds several wheels, and the workflow that runs them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.errors import UsageError

if TYPE_CHECKING:
    from winvllm_build.build.matrix.jobs import Matrix, Wanted
    from winvllm_build.build.matrix.pieces import Asked
    from winvllm_build.build.matrix.shares import Piece
    from winvllm_build.build.matrix.sizing import Runner
    from winvllm_build.profile.loader import ResolvedProfile

HELP = """Print the jobs of a CI: shards that fit a time limit, then one job for each wheel.

What builds of one tag have in common is compiled once. The number of shards comes from predicted times; every
runner deals the same shares. A configure run says what is compiled, or --from a plan that was made before.

\b
Examples:
  winvllm-build matrix -p sm86 -p sm89 -p sm120             shards and wheels, for a reader
  winvllm-build matrix --tag v0.33.0 --arch-list 8.6 --arch-list "8.9;12.0" --format github
  winvllm-build matrix -p sm86 --limit 3h --runner-cores 16 --runner-memory 64
  winvllm-build matrix -p sm86 --from plan.json             without configuring
  winvllm-build matrix -p sm86 -p sm89 --workflow github --out .github/workflows/wheels.yml
"""


class Format(str, Enum):
    """What is printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    GITLAB = "gitlab"


class WorkflowOf(str, Enum):
    """Whose workflow."""

    GITHUB = "github"
    GITLAB = "gitlab"


def register(app: typer.Typer) -> None:
    app.command(help=HELP)(matrix)


def matrix(
    *,
    profile: Annotated[
        list[str] | None, typer.Option("--profile", "-p", help="Profile name or TOML file; repeat for more.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="vLLM tag; repeat for more.")] = None,
    arch_list: Annotated[
        list[str] | None,
        typer.Option("--arch-list", metavar="LIST", help='One wheel, such as "8.6;8.9"; repeat for more.'),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the profile.")
    ] = None,
    limit: Annotated[str, typer.Option(help="Time that a job may take, such as 5h or 90m.")] = "5h",
    runner: Annotated[str, typer.Option(help="Label of the machines.")] = "windows-2022",
    runner_cores: Annotated[int, typer.Option(min=1, help="Cores of a machine.")] = 4,
    runner_memory: Annotated[float, typer.Option(min=1, metavar="GIB", help="Memory of a machine.")] = 16,
    factor: Annotated[
        float, typer.Option(min=0.1, help="Seconds there for a second where the costs were recorded.")
    ] = 1.0,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="What `plan --edges --json` printed; configures nothing."
        ),
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.TEXT,
    workflow: Annotated[
        WorkflowOf | None, typer.Option(help="Print a whole workflow instead; plans nothing now.")
    ] = None,
    requirement: Annotated[
        str, typer.Option(help="What pip installs in each job; . is the checked out repository.")
    ] = ".",
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write it there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> int:
    from winvllm_build.build.matrix import formats, jobs
    from winvllm_build.build.matrix.sizing import Runner

    machine = Runner(
        label=runner, cores=runner_cores, memory=runner_memory, factor=factor, limit=formats.seconds_of(limit)
    )
    wanted = _wanted(profile or [None], tag or [None], arch_list, setting or [])
    if workflow is not None:
        pairs = {"--profile": profile, "--tag": tag, "--arch-list": arch_list, "--set": setting}
        arguments = _again(pairs, machine, limit)
        text = formats.workflow(
            formats.Provider(workflow.value), arguments=arguments,
            requirement=requirement, runner=runner, limit=machine.limit,
        )  # fmt: skip
        return _put(text, out)
    form = Format.JSON if as_json else form
    if out is not None and form is Format.TEXT:
        raise UsageError(f"{out} would hold a text for a reader", fix="add --format json, github or gitlab")
    pieces = _planned(wanted, offline=offline) if plan is None else _read(wanted, plan)
    made = jobs.matrix_of([one for one, _ in wanted], pieces, machine)
    match form:
        case Format.JSON:
            return _put(json.dumps(made.as_data(), indent=2, sort_keys=True) + "\n", out)
        case Format.GITHUB:
            return _put(formats.github(made) + "\n", out)
        case Format.GITLAB:
            return _put(formats.gitlab(made, requirement=requirement), out)
        case Format.TEXT:
            return _show(made)


def _wanted(
    profiles: Sequence[str | None],
    tags: Sequence[str | None],
    arch_lists: list[str] | None,
    settings: Sequence[str],
) -> list[tuple[Wanted, ResolvedProfile]]:
    from winvllm_build.build.matrix.jobs import Wanted
    from winvllm_build.cli import several

    found = []
    chosen: Sequence[str | None] = arch_lists or [None]
    for name in profiles:
        for tag in tags:
            for text in chosen:
                lists = several.lists(None, None if text is None else [text])
                (title, resolved), *_ = several.wanted([name], lists, {"tag": tag}, settings)
                options: list[tuple[str, str | None]] = [("--profile", name), ("--tag", tag)]
                options += [("--arch-list", text), *(("--set", one) for one in settings)]
                found.append((
                    Wanted(
                        tag=resolved.profile.tag,
                        archs=tuple(resolved.profile.cuda.arch_list),
                        profile=name,
                        title=" ".join(filter(None, (name and Path(name).stem, text))) or title,
                        arguments=tuple(w for option, value in options if value for w in (option, value)),
                    ),
                    resolved,
                ))  # fmt: skip
    return found


def _planned(
    wanted: Sequence[tuple[Wanted, ResolvedProfile]], *, offline: bool
) -> dict[int, Sequence[Piece]]:
    from winvllm_build.build.matrix import pieces
    from winvllm_build.build.pipeline import BuildRequest
    from winvllm_build.build.plan import planning
    from winvllm_build.build.plan.planning import WhatIf
    from winvllm_build.cli.watch import watching

    with watching() as watcher:
        plans = [
            planning.plan(
                BuildRequest(resolved=resolved, offline=offline), watcher, title=one.title, what_if=WhatIf()
            )
            for one, resolved in wanted
        ]
    everything = pieces.of(plans)
    return {number: [p for p in everything if p.build == number] for number in range(len(plans))}


def _read(wanted: Sequence[tuple[Wanted, ResolvedProfile]], file: Path) -> dict[int, Sequence[Piece]]:
    from winvllm_build.build.matrix import pieces

    try:
        known = pieces.from_plan(file.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", fix="name the file of a plan") from error
    asked = [_asked(resolved) for _, resolved in wanted]
    missing = [str(one) for one in asked if one not in known]
    if missing:
        raise UsageError(
            f"{file} has no build of {'; '.join(missing)}",
            fix="winvllm-build plan --edges --json with the same profiles, tags and lists",
        )
    return {number: known[one] for number, one in enumerate(asked)}


def _asked(resolved: ResolvedProfile) -> Asked:
    from winvllm_build import data
    from winvllm_build.build import equipment
    from winvllm_build.build.matrix.pieces import Asked

    profile = equipment.for_tag(resolved, data.patches_root()).profile
    layers = equipment.layers_of(profile, data.patches_root()).layers
    return Asked.of(profile.tag, profile.cuda.arch_list, layers, profile.build.selects)


def _again(options: Mapping[str, Sequence[str] | None], runner: Runner, limit: str) -> list[str]:
    """The options of this call that the workflow's own call needs."""
    words = [word for option, values in options.items() for value in values or [] for word in (option, value)]
    words += ["--limit", limit, "--runner", runner.label, "--runner-cores", str(runner.cores)]
    return [*words, "--runner-memory", f"{runner.memory:g}", "--factor", f"{runner.factor:g}"]


def _put(text: str, out: Path | None) -> int:
    from winvllm_build.workspace import write_atomic

    if out is None:
        render.out(text.rstrip("\n"))
    else:
        write_atomic(out, text.encode("utf-8"))
    return 0


def _show(made: Matrix) -> int:
    for group in made.groups:
        render.out(
            f"{group.identifier}: {group.distinct} distinct of {group.edges} compile edges,"
            f" {render.duration(group.seconds)} of predicted work"
        )
        for shard in group.shards:
            render.out(
                f"  compile {shard.share!s:<8} {shard.edges:>4} edges  {render.duration(shard.seconds)}"
            )
        for wheel in group.wheels:
            render.out(f"  wheel   {wheel.wanted.title:<24} {' '.join(wheel.wanted.arguments)}")
    render.out(
        f"on {made.runner.label}: {made.runner.cores} cores, {made.runner.memory:g} GiB,"
        f" at most {render.duration(made.runner.limit)} a job"
    )
    return 0
