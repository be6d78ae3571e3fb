"""`winvllm-build plan`: every edge of a build and what it will cost, before anything is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from winvllm_build.cli import render
from winvllm_build.cli.profile_options import CudaHomeOption, PythonOption, SetOption, TagOption

if TYPE_CHECKING:
    from winvllm_build.build.plan.planning import WhatIf

HELP = """Say what a build will compile, how long it takes and what memory and disk it needs.

Configures for real, without a GPU or a CUDA build of torch, and compiles nothing. Several profiles or lists
of architectures are set beside each other: what they share needs to be compiled once.

\b
Examples:
  winvllm-build plan --profile sm86                          counts, time, memory, disk
  winvllm-build plan --profile sm86 --edges                  every edge, the longest first
  winvllm-build plan --profile sm86 --slots 16 --memory 32   on another machine, 32 GiB for compilers
  winvllm-build plan --arch-list 7.5 --arch-list "8.6;8.9"   two wheels, and what they share
  winvllm-build plan -p sm75 -p sm86 -p sm89 --json          three profiles, as data
"""


def register(app: typer.Typer) -> None:
    app.command(help=HELP)(plan)


def plan(
    *,
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", "-p", help="Profile name or TOML file; repeat to compare."),
    ] = None,
    tag: TagOption = None,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", metavar="ARCH", help="CUDA architecture of one build; repeat for more."),
    ] = None,
    arch_list: Annotated[
        list[str] | None,
        typer.Option("--arch-list", metavar="LIST", help='One build, such as "8.6;8.9"; repeat to compare.'),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option("--layer", metavar="NAME", help="Optional layer of patches; repeat for more."),
    ] = None,
    targets: Annotated[
        list[str] | None,
        typer.Option("--targets", "--target", metavar="NAME", help="Only this target; repeat for more."),
    ] = None,
    cuda_home: CudaHomeOption = None,
    python: PythonOption = None,
    setting: SetOption = None,
    slots: Annotated[int | None, typer.Option(min=1, help="Reckon with so many edges at a time.")] = None,
    memory: Annotated[
        float | None, typer.Option(min=0.1, metavar="GIB", help="Reckon with so much memory for edges.")
    ] = None,
    edges: Annotated[bool, typer.Option("--edges", help="List every edge.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    edited: Annotated[bool, typer.Option("--edited", help="Plan edits in patched files too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> int:
    from winvllm_build.build.pipeline import BuildRequest
    from winvllm_build.build.plan import planning, sharing
    from winvllm_build.cli import plan_text, several
    from winvllm_build.cli.watch import watching

    overrides: dict[str, Any] = {
        "tag": tag,
        "cuda.home": cuda_home,
        "python.executable": python,
        "build.targets": targets or None,
        "source.layers": layer or None,
    }
    wanted = several.wanted(profile or [None], several.lists(arch, arch_list), overrides, setting or [])
    what_if = _what_if(slots, memory)
    with watching() as watcher:
        plans = [
            planning.plan(
                BuildRequest(resolved=resolved, offline=offline, allow_edits=edited),
                watcher, title=title, what_if=what_if,
            )
            for title, resolved in wanted
        ]  # fmt: skip
    shared = sharing.shared(plans, plans[0].room) if len(plans) > 1 else None
    if as_json:
        builds = [one.as_data(with_edges=edges) for one in plans]
        render.data({"builds": builds, "sharing": None if shared is None else shared.as_data()})
        return 0
    for one in plans:
        plan_text.show(one, with_edges=edges)
    if shared is not None:
        plan_text.compare(plans, shared)
    return 0


def _what_if(slots: int | None, memory: float | None) -> WhatIf:
    from winvllm_build.build.plan.planning import GIB, WhatIf

    return WhatIf(slots=slots, memory=None if memory is None else int(memory * GIB))
