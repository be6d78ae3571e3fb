"""`winvllm-build build`: from a profile to compiled extensions and a wheel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winvllm_build.cli import render
from winvllm_build.cli.profile_options import CudaHomeOption, PythonOption, TagOption
from winvllm_build.errors import CompileError, UsageError

if TYPE_CHECKING:
    from winvllm_build.build.result import BuildResult, DryRun
    from winvllm_build.build.selection import LeftOut

HELP = """Build vLLM: source, patches, toolkit, configure, compile, link, wheel.

\b
Examples:
  winvllm-build build --profile quickstart             cumem_allocator and a few kernels
  winvllm-build build --profile sm86                   everything for one card, and the wheel
  winvllm-build build --profile sm86 --tag v0.33.0     the same of another tag than the profile's
  winvllm-build build --profile sm86 --dry-run         the edges that would run
  winvllm-build build --arch 8.9 --targets _moe_C      one extension
  winvllm-build build --layer NAME                     with an optional layer of patches, in a tree of its own
  winvllm-build build --set build.max_jobs=2           any key of the profile
  winvllm-build build -p sm86 -p sm89 --shard 2/5      a share of both, compiled for CI (docs/ci.md)
  winvllm-build build --events events.ndjson           what happens, for other programs
A second run does what is left to do; interrupt it whenever you like.
"""


def register(app: typer.Typer) -> None:
    app.command(help=HELP)(build)


def build(
    *,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", "-p", help="Profile name or TOML file; repeat for --shard."),
    ] = None,
    tag: TagOption = None,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", metavar="ARCH", help="CUDA architecture such as 8.6; repeat for more."),
    ] = None,
    arch_list: Annotated[
        list[str] | None,
        typer.Option("--arch-list", metavar="LIST", help='One build, such as "8.6;8.9"; repeat for --shard.'),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="NAME", help="Optional layer of patches; repeat for more."),
    ] = None,
    jobs: Annotated[str | None, typer.Option("--jobs", "-j", help="Edges at a time, or auto.")] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--targets", "--target", metavar="NAME", help="Build only this target; repeat for more."
        ),
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option("--leave-out", metavar="NAME", help="Target not to build; repeat for more."),
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object", "--objects", metavar="PATTERN", help="Compile single files, such as csrc/*.cu."
        ),
    ] = None,
    cuda_home: CudaHomeOption = None,
    python: PythonOption = None,
    source: Annotated[str | None, typer.Option(help="auto, git, local or sdist.")] = None,
    location: Annotated[
        str | None, typer.Option(help="Repository or folder for --source local or git.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the profile.")
    ] = None,
    cache: Annotated[
        str | None, typer.Option(help="Compiler cache: off, auto, local, redis, s3 or gha.")
    ] = None,
    wheel: Annotated[bool | None, typer.Option("--wheel/--no-wheel", help="Pack a wheel.")] = None,
    keep_going: Annotated[
        bool | None, typer.Option("--keep-going/--stop-at-failure", "-k", help="Go on after a failed edge.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    edited: Annotated[bool, typer.Option("--edited", help="Build edits in patched files too.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Drop the build folder first.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Say what would run.")] = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="Compile this share of all builds named; link nothing."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE", help="Write what the share finished there.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the wheel.")] = None,
    events: Annotated[
        str | None,
        typer.Option(
            "--events", metavar="FILE|-", help="Write what happens, a JSON object a line; - is stdout."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    from winvllm_build.build import pipeline
    from winvllm_build.build.result import DryRun
    from winvllm_build.cli import several
    from winvllm_build.cli import shard as shards
    from winvllm_build.cli.watch import STDOUT, watching

    if as_json and events == STDOUT:
        raise UsageError(
            "--json and --events - both write to stdout", fix="--events FILE, or leave --json out"
        )
    overrides: dict[str, Any] = {
        "tag": tag,
        "cuda.home": cuda_home,
        "python.executable": python,
        "build.max_jobs": jobs,
        "cache.kind": cache,
        "build.targets": targets or None,
        "build.leave_out": leave_out or None,
        "build.objects": objects or None,
        "build.wheel": wheel,
        "build.keep_going": keep_going,
        "source.kind": source,
        "source.layers": layer or None,
        "source.location": location,
    }
    requests = [
        pipeline.BuildRequest(
            resolved=resolved,
            offline=offline,
            allow_edits=edited,
            fresh=fresh,
            dry_run=dry_run,
            wheels=out.absolute() if out is not None else None,
        )
        for _, resolved in several.wanted(
            profile or [None], several.lists(arch, arch_list), overrides, setting or []
        )
    ]
    if dry_run and fresh:
        raise UsageError(
            "a dry run changes nothing, --fresh drops the build folder", fix="leave one of them out"
        )
    if shard is not None:
        with watching(events) as watcher:
            part = shards.run(requests, shard, export, watcher)
        return shards.show(part, as_json=as_json, streamed=events == STDOUT)
    shards.refuse_without_shard(builds=len(requests), export=export)
    request = requests[0]
    with watching(events) as watcher:
        result = pipeline.run(request, watcher)
        watcher.result(result.as_data(), failed=not isinstance(result, DryRun) and bool(result.failed))
    if events == STDOUT:
        pass  # the stream's last lines hold the result
    elif as_json:
        render.data(result.as_data())
    elif isinstance(result, DryRun):
        _show_plan(result)
    else:
        _show(result, watcher.record, request.resolved.profile.torch.indexes)
    return CompileError.exit_code if not isinstance(result, DryRun) and result.failed else 0


def _show_plan(plan: DryRun) -> None:
    for title in plan.pending:
        render.out(title)
    render.out(f"{len(plan.pending)} of {plan.total} edges would run, {plan.jobs}")
    for reason, names in _by_reason(plan.left_out).items():
        render.out(f"left out: {', '.join(names)}: {reason}")


def _show(result: BuildResult, record: Path | None, indexes: Sequence[str]) -> None:
    render.out("")
    taken = render.duration(sum(result.seconds.values()))
    outcome = f"{len(result.failed)} edges failed after {taken}" if result.failed else f"built in {taken}"
    render.out(f"vLLM {result.tag}: {outcome}")
    rows = [
        ("source", result.source),
        ("tree", f"{result.tree} ({result.patches} patches)"),
        *([("layers", " + ".join(result.layers))] if len(result.layers) > 1 else []),
        *result.toolchain.items(),
        ("edges", f"{result.edges} ran of {result.total}; {result.jobs}"),
        ("build folder", str(result.build)),
    ]
    for name, value in rows:
        render.out(f"  {name:<13} {value}")
    for artifact, size in result.artifacts.items():
        render.out(f"  made          {artifact} ({render.size(size)})")
    for reason, names in _by_reason(result.left_out).items():
        render.out(f"  left out      {', '.join(names)}: {reason}")
    if result.wheel is not None:
        render.out(f"  wheel         {result.wheel.path} ({render.size(result.wheel.size)})")
    for text in result.notes:
        render.out(f"  note          {text}")
    if result.failed:
        from winvllm_build.build.diagnosis import ending
        from winvllm_build.cli import why_text

        for line in why_text.report(ending.read(result.failed)):
            render.out(line)
    if record is not None:
        render.out(f"  record        {record} (winvllm-build report --html FILE shows it)")
    for index, line in enumerate(next_steps(result, indexes)):
        render.out(f"      {line}" if index else f"next: {line}")


def next_steps(result: BuildResult, indexes: Sequence[str]) -> list[str]:
    """What a user may want to type now, the first line behind `next:`."""
    if result.failed:
        return ["do what stands above, then run the same command again; winvllm-build why says it again"]
    if result.wheel is not None and result.loadable:
        from winvllm_build.cli import install

        return ["one of", *(f"  {line}" for line in install.after_build(result, indexes))]
    if result.wheel is not None:
        return ["for a wheel that runs: install the CUDA torch of the tag, then the same command again"]
    if any(target.reason == "not asked for" for target in result.left_out):
        again = " ".join(["winvllm-build build --profile sm86", *_same_source(result)])
        return [again, "builds everything for an RTX 30xx and packs the wheel"]
    return ["the same command with --wheel packs what was built"]


def _same_source(result: BuildResult) -> Iterator[str]:
    """A profile has a tag and layers of its own; the required layer, the first, is in every build."""
    yield from ("--tag", result.tag)
    for layer in result.layers[1:]:
        yield from ("--layer", layer)


def _by_reason(left_out: Sequence[LeftOut]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for target in left_out:
        found.setdefault(target.reason, []).append(target.name)
    return found
