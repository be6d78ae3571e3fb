"""The options of commands that resolve a profile as a build does."""

from __future__ import annotations

from typing import Annotated

import typer

ProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", help="Profile name or TOML file (see `profile list`).")
]
TagOption = Annotated[str | None, typer.Option("--tag", help="vLLM tag; it needs a patch set.")]
ArchOption = Annotated[
    list[str] | None, typer.Option("--arch", help="CUDA architecture such as 8.6; repeat for more.")
]
CudaHomeOption = Annotated[str | None, typer.Option("--cuda-home", help="CUDA toolkit folder, or auto.")]
PythonOption = Annotated[str | None, typer.Option("--python", help="The interpreter to build for, or auto.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="Any profile key, as section.key=value.")]
