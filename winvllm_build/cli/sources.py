"""`winvllm-build source`: a worktree of a tag as upstream made it, with or without patches for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import JsonOption, PatchesOption

if TYPE_CHECKING:
    from winvllm_build.choices import SourceKind

SOURCE_HELP = """Check out upstream's files of a tag, pinned by its patchset.toml; patches are not needed yet.

\b
Examples:
  winvllm-build source v0.14.1 --tree ../vllm-0.14.1
  winvllm-build source v0.14.1 --tree ../vllm-0.14.1 --kind local --location ../vllm
"""


def register(app: typer.Typer) -> None:
    app.command(help=SOURCE_HELP)(source)


def source(
    tag: Annotated[str, typer.Argument(metavar="TAG", help="vLLM tag; it needs a patchset.toml.")],
    *,
    tree: Annotated[Path, typer.Option("--tree", help="Where the worktree is made.")],
    kind: Annotated[str, typer.Option("--kind", help="auto, git, local or sdist.")] = "auto",
    location: Annotated[
        str | None, typer.Option("--location", help="Repository, folder or archive for --kind local.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build import data
    from winvllm_build.patchset.patchset import manifest_of
    from winvllm_build.sources.pins import read_pins
    from winvllm_build.sources.source import acquire, worktree
    from winvllm_build.workspace import Workspace

    root = patches.absolute() if patches else data.patches_root()
    made = acquire(
        read_pins(manifest_of(root, tag)).upstream, kind=kind_of(kind), location=location,
        workspace=Workspace.default(), offline=offline, on_event=render.note,
    )  # fmt: skip
    folder = worktree(made, tree.absolute())
    if as_json:
        render.data({"tag": tag, "worktree": str(folder), "commit": made.commit, "tree": made.tree,
                     "kind": made.kind.value, "source": made.description})  # fmt: skip
    else:
        render.out(f"{folder}: {made.description}")
    return 0


def kind_of(name: str) -> SourceKind:
    from winvllm_build.choices import SourceKind
    from winvllm_build.errors import UsageError
    from winvllm_build.suggest import did_you_mean

    known = [kind.value for kind in SourceKind]
    if name not in known:
        raise UsageError(
            f"no kind of source named {name!r}{did_you_mean(name, known)}", fix=f"known: {', '.join(known)}"
        )
    return SourceKind(name)
