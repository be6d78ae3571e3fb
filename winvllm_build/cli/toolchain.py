"""`winvllm-build toolchain`: what a build would compile with on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import found_text, render, rows
from winvllm_build.cli.plain import plain
from winvllm_build.cli.profile_options import (
    ArchOption,
    CudaHomeOption,
    ProfileOption,
    PythonOption,
    SetOption,
    TagOption,
)
from winvllm_build.errors import WinvllmError

if TYPE_CHECKING:
    from winvllm_build.profile.loader import ResolvedProfile
    from winvllm_build.toolchain.inventory import Inventory
    from winvllm_build.toolchain.request import ToolchainRequest
    from winvllm_build.toolchain.toolchain import Toolchain

HELP = """The compilers, CUDA toolkit, Python and torch that a build of a profile would use.

\b
Examples:
  winvllm-build toolchain show                   what is taken or laid down, and what is not and why
  winvllm-build toolchain show --profile sm120   the same for another profile
  winvllm-build toolchain show --json            the same as data
  winvllm-build toolchain show --cuda-home /usr/local/cuda-12.8
"""


TORCH = """Install the torch that a profile's tag pins, built for the toolkit that is found, if it is missing.

No compiler is needed for it, and nothing is laid down.

\b
Examples:
  winvllm-build toolchain torch                      into the environment that builds are for
  winvllm-build toolchain torch --profile sm120      for another profile
  winvllm-build toolchain torch --dry-run            only say the command
  winvllm-build toolchain torch --index URL          from a mirror of PyTorch's index
torch.indexes of the profile names such a mirror for every command.
"""


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.command("show", help="Find a profile's toolchain; lays down what is missing, as a build does.")(
        show
    )
    group.command("torch", help=TORCH)(torch)
    app.add_typer(group, name="toolchain")


def show(
    *,
    profile: ProfileOption = None,
    tag: TagOption = None,
    arch: ArchOption = None,
    cuda_home: CudaHomeOption = None,
    python: PythonOption = None,
    setting: SetOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    no_laydown: Annotated[
        bool, typer.Option("--no-laydown", help="Only an installed toolkit will do.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    from winvllm_build.cli.profiles import resolve_profile

    resolved = resolve_profile(
        profile,
        settings=setting or [],
        overrides={
            "tag": tag,
            "cuda.arch_list": arch or None,
            "cuda.home": cuda_home,
            "cuda.allow_laydown": False if no_laydown else None,
            "python.executable": python,
        },
    )
    for text in resolved.notes:
        render.note(f"note: {text}")
    _, inventory = _inventory(resolved)
    try:
        found = _equipped(resolved, offline=offline)
    except WinvllmError as error:
        if as_json:
            data = {"found": plain(inventory), "profile": resolved.name}
            render.data({**data, "error": render.error_data(error)})
            render.error(error, as_json=False)
            return error.exit_code
        rows.show_sections(found_text.sections(inventory))
        raise
    if as_json:
        render.data(
            {
                "cmake_definitions": found.cmake_definitions(),
                "environment": dict(found.environment),
                "found": plain(inventory),
                "profile": resolved.name,
                "toolchain": found.describe(),
            }
        )
        return 0
    for name, text in found.describe().items():
        render.out(f"{name:<13} {text}")
    render.out("")
    rows.show_sections(found_text.sections(inventory))
    return 0


def _inventory(resolved: ResolvedProfile) -> tuple[ToolchainRequest, Inventory]:
    """What is asked for, and all that is there, whether a build takes it or not."""
    import os

    from winvllm_build import data
    from winvllm_build.build import equipment
    from winvllm_build.patchset import patchset
    from winvllm_build.registry import machine_registry
    from winvllm_build.toolchain import inventory
    from winvllm_build.toolchain.system import this_system
    from winvllm_build.workspace import Workspace

    patches, workspace = data.patches_root(), Workspace.default()
    equipment.refuse_early(resolved, patched_tags=patchset.tags(patches))
    resolved = equipment.for_tag(resolved, patches)
    facts = equipment.facts_without_source(resolved.profile, workspace=workspace, patches=patches)
    request = equipment.request(resolved.profile, facts)
    scope = inventory.Scope(
        workspace=workspace, system=this_system(), environment=os.environ, registry=machine_registry()
    )
    return request, inventory.take(request, scope)


def _equipped(resolved: ResolvedProfile, *, offline: bool) -> Toolchain:
    """The toolchain of a build, refused with the same words; no source is fetched for it."""
    from winvllm_build import data
    from winvllm_build.build import equipment
    from winvllm_build.index import Index
    from winvllm_build.patchset import patchset
    from winvllm_build.workspace import Workspace

    patches, workspace = data.patches_root(), Workspace.default()
    equipment.refuse_early(resolved, patched_tags=patchset.tags(patches))
    resolved = equipment.for_tag(resolved, patches)
    return equipment.equip(
        resolved,
        equipment.facts_without_source(resolved.profile, workspace=workspace, patches=patches),
        workspace=workspace,
        index=Index(workspace, offline=offline, on_event=render.note),
        on_event=render.note,
    )


def torch(
    *,
    profile: ProfileOption = None,
    tag: TagOption = None,
    arch: ArchOption = None,
    cuda_home: CudaHomeOption = None,
    python: PythonOption = None,
    setting: SetOption = None,
    index: Annotated[
        list[str] | None, typer.Option("--index", help="Address in place of PyTorch's; repeat for more.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the command; install nothing.")] = False,
) -> int:
    from winvllm_build.build import torch_install
    from winvllm_build.cli.profiles import resolve_profile
    from winvllm_build.shells import of_system, typed
    from winvllm_build.toolchain.torch import Torch

    overrides = {"tag": tag, "cuda.arch_list": arch or None, "cuda.home": cuda_home}
    resolved = resolve_profile(
        profile, settings=setting or [], overrides={**overrides, "python.executable": python}
    )
    request, found = _inventory(resolved)
    planned = torch_install.plan(found, request, indexes=index or resolved.profile.torch.indexes)
    if isinstance(planned, Torch):
        render.out(f"torch {planned.version} is there and fits ({planned.package})")
        return 0
    for line in typed(planned, of_system()):
        render.out(line)
    if not dry_run:
        torch_install.install(planned, on_line=render.note)
    return 0
