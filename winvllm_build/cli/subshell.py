"""`winvllm-build shell`: edit in the patched tree; the patches are written when the shell ends well."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.cli.exchange import OfflineOption
from winvllm_build.cli.patches import (
    FINDINGS,
    JsonOption,
    PatchesOption,
    TagArgument,
    TagOption,
    TargetOption,
)

if TYPE_CHECKING:
    from winvllm_build.review.subshell import Work

SHELL_HELP = """Open a shell in a tree with the patch set applied; `exit` there writes the patches anew.

Exit code 0 of the shell: `regen` writes what was edited. Any other: nothing is written, and nothing is lost.
An interactive shell ends with the code of its last command: `exit 0` and `exit 1` say what is meant.

\b
Examples:
  winvllm-build shell                                the newest tag, in a tree the tool makes
  winvllm-build shell v0.14.1 --tree ../vllm --new "csrc/*.cuh"
  winvllm-build shell --layer turbo                  the edits go to that layer
  winvllm-build shell --command "sed -i s/a/b/ setup.py"
WINVLLM_BUILD_SHELL names the tag inside the shell.
"""


def register(app: typer.Typer) -> None:
    app.command(help=SHELL_HELP)(shell)


def shell(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    tree: Annotated[
        Path | None, typer.Option("--tree", help="Source tree; default: one that the tool makes.")
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="The layer that the edits go to.")
    ] = None,
    target: TargetOption = "vllm",
    new: Annotated[list[str] | None, typer.Option("--new", help="New files to add: a glob.")] = None,
    command: Annotated[
        str | None,
        typer.Option("--command", "-c", help="Run this in the shell instead of waiting for input."),
    ] = None,
    offline: OfflineOption = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build import process
    from winvllm_build.cli.patches import chosen_set
    from winvllm_build.review import subshell

    root, name = chosen_set(patches, given, tag)
    work = subshell.Work(
        root=root, tag=name, layer=layer, target=target, tree=tree, new=tuple(new or ()), offline=offline
    )
    folder = subshell.open_tree(work, environment=os.environ, on_event=render.note)
    windows = os.name == "nt"
    parents = process.ancestors() if windows else ()
    launched = subshell.launch(os.environ, name, command, windows=windows, parents=parents)
    if command is None:
        render.note(f"{name} in {folder}: `exit 0` writes the patches, `exit 1` leaves them as they are")
    code = subshell.run(launched, folder)
    if code != 0:
        render.note(f"the shell ended with exit code {code}: no patch was written, the edits are in {folder}")
        for words, way in subshell.ways_on(work, folder):
            render.note(f"  {words}: {way}")
        return FINDINGS
    return _written(work, folder, as_json=as_json)


def _written(work: Work, folder: Path, *, as_json: bool) -> int:
    from winvllm_build.cli import patches_shown
    from winvllm_build.errors import WinvllmError
    from winvllm_build.review.subshell import write

    try:
        result = write(work, folder, on_event=render.note)
    except WinvllmError:
        render.note(f"the edits are in {folder}; after the correction below nothing has to be edited again")
        raise
    if as_json:
        render.data({**patches_shown.regen_data(result, work.tag), "worktree": str(folder)})
    else:
        patches_shown.show_regenerated(result, work.root)
    return 0
