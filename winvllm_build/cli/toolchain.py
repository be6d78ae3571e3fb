"""`winvllm-build toolchain`: what a build would compile with on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winvllm_build.cli import render

HELP = """The compilers, CUDA toolkit, Python and torch of this machine.

\b
Examples:
  winvllm-build toolchain show              what is found, what is laid down, what was not taken and why
  winvllm-build toolchain show --json       the same as data
  winvllm-build toolchain show --cuda-home /usr/local/cuda-12.8
"""


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.command("show", help="Find the toolchain and print it; lays down what is missing.")(show)
    app.add_typer(group, name="toolchain")


def show(
    *,
    arch: Annotated[list[str] | None, typer.Option(help="Compute capability, like 8.6; repeatable.")] = None,
    torch: Annotated[str, typer.Option(help="The torch version the tag pins.")] = "2.9.1",
    cuda_home: Annotated[Path | None, typer.Option(help="A toolkit folder instead of the search.")] = None,
    python: Annotated[Path | None, typer.Option(help="The interpreter to build for.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    no_laydown: Annotated[
        bool, typer.Option("--no-laydown", help="Only an installed toolkit will do.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    from winvllm_build.index import Index
    from winvllm_build.toolchain.request import ToolchainRequest
    from winvllm_build.toolchain.toolchain import discover
    from winvllm_build.workspace import Workspace

    request = ToolchainRequest(
        architectures=tuple(arch or ("8.6",)),
        cuda_home=cuda_home,
        python=python,
        torch_version=torch,
        allow_laydown=not no_laydown,
    )
    workspace = Workspace.default()
    index = Index(workspace, offline=offline, on_event=render.note)
    found = discover(request, workspace=workspace, index=index, on_event=render.note)
    if as_json:
        render.data(
            {
                "cmake_definitions": found.cmake_definitions(),
                "environment": dict(found.environment),
                "toolchain": found.describe(),
            }
        )
        return 0
    for name, text in found.describe().items():
        render.out(f"{name:<10} {text}")
    return 0
