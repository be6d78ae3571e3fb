"""`winvllm-build install-command` and `develop`: what was built into an environment."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import render
from winvllm_build.cli.profile_options import TagOption
from winvllm_build.errors import ToolchainError, UsageError

if TYPE_CHECKING:
    from winvllm_build.build.install_command import InstallCommand
    from winvllm_build.build.result import BuildResult
    from winvllm_build.shells import Shell

HELP = """Print the exact commands that install a wheel with its torch, for pip and for uv.

\b
Examples:
  winvllm-build install-command                             for the newest wheel that was built
  winvllm-build install-command dist/vllm-....whl           for this one
  winvllm-build install-command --shell powershell          quoted for PowerShell; else for this system's
Both name PyTorch's index for the CUDA of the wheel, and torch with it: the package index has torch
without CUDA for Windows. torch.indexes of the profile names other indexes, such as a mirror.
"""
DEVELOP = """Install a built tree editable: the compiled files beside the sources, Python edits count at once.

\b
Examples:
  winvllm-build develop --profile sm86                      build, and install into the environment built for
  winvllm-build develop --profile sm86 --into PYTHON        into the environment of this interpreter
  winvllm-build develop --profile sm86 --no-deps            without what vLLM requires
  winvllm-build develop --profile sm86 --undo               take all of it out again
After an edit of a .cu file run it again: what changed is compiled and replaced. git ignores what is put into
the tree, so that `winvllm-build status` and `regen` see the sources alone.
"""
Shells = Annotated[str | None, typer.Option("--shell", metavar="cmd|powershell|sh", help="Quote for it.")]


def register(app: typer.Typer) -> None:
    app.command("install-command", help=HELP)(install_command)
    app.command("develop", help=DEVELOP)(develop)


def install_command(
    *,
    wheel: Annotated[Path | None, typer.Argument(help="The wheel; else the newest that was built.")] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", "-p", help="Profile whose torch.indexes are named.")
    ] = None,
    shell: Shells = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the words as JSON.")] = False,
) -> int:
    from winvllm_build.build import install_command as door
    from winvllm_build.cli.profiles import resolve_profile

    file = wheel.absolute() if wheel is not None else _newest()
    indexes = resolve_profile(profile, overrides={}).profile.torch.indexes
    made = door.compose(door.read(file), indexes=indexes)
    if as_json:
        render.data({"indexes": made.indexes, "pip": made.pip, "uv": made.uv, "wheel": file})
        return 0
    for line in lines(made, shells_of(shell)):
        render.out(line)
    return 0


def shells_of(name: str | None) -> tuple[Shell, ...]:
    """The shell of that name, else those of this system.

    Raises:
        UsageError: no such shell.
    """
    from winvllm_build.shells import Shell, of_system

    if name is None:
        return of_system()
    try:
        return (Shell(name),)
    except ValueError as error:
        raise UsageError(f'no shell "{name}"', fix="--shell cmd, powershell or sh") from error


def lines(made: InstallCommand, shells: tuple[Shell, ...]) -> list[str]:
    """Both commands for each shell; once where the shells write them alike."""
    from winvllm_build.shells import command

    found: list[str] = []
    for name, words in (("pip", made.pip), ("uv", made.uv)):
        written: dict[str, list[str]] = {}
        for shell in shells:
            written.setdefault(command(words, shell), []).append(shell.value)
        for line, known in written.items():
            where = f" ({', '.join(known)})" if len(written) > 1 else ""
            found += [f"# {name}{where}", line]
    return found


def after_build(result: BuildResult, indexes: Sequence[str]) -> list[str]:
    """The commands for the wheel of a build, with the very torch that it was compiled against."""
    import dataclasses
    import re

    from winvllm_build.build import install_command as door

    if result.wheel is None:
        return []
    said = re.search(r"\+(cu\d+)", result.toolchain.get("torch", ""))
    built = dataclasses.replace(door.read(result.wheel.path), torch_local=said[1] if said else None)
    try:
        return lines(door.compose(built, indexes=indexes), shells_of(None))
    except ToolchainError as error:  # the wheel is made all the same
        return [f"# {line}" for line in str(error).splitlines()]


def _newest() -> Path:
    from winvllm_build.workspace import Workspace

    folder = Workspace.default().wheels
    wheels = sorted(folder.glob("vllm-*.whl"), key=lambda file: file.stat().st_mtime)
    if not wheels:
        raise UsageError(
            f"no wheel was built yet: {folder} has none", fix="winvllm-build build --profile sm86"
        )
    return wheels[-1]


def develop(
    *,
    profile: Annotated[str | None, typer.Option("--profile", "-p", help="Profile name or TOML file.")] = None,
    tag: TagOption = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the profile.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="PYTHON", help="Interpreter of the environment.")
    ] = None,
    installer: Annotated[str, typer.Option(help="auto, pip or uv.")] = "auto",
    deps: Annotated[
        bool, typer.Option("--deps/--no-deps", help="Install what vLLM requires as well.")
    ] = True,
    edited: Annotated[bool, typer.Option("--edited", help="Build edits in patched files too.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take out what was put in.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> int:
    from winvllm_build.build import develop as room
    from winvllm_build.build import pipeline, trees
    from winvllm_build.build.equipment import layers_of
    from winvllm_build.cli.profiles import resolve_profile
    from winvllm_build.cli.watch import watching
    from winvllm_build.shells import command

    if installer not in {"auto", "pip", "uv"}:
        raise UsageError(f'no installer "{installer}"', fix="--installer auto, pip or uv")
    resolved = resolve_profile(profile, overrides={"tag": tag, "build.wheel": False}, settings=setting or [])
    request = pipeline.BuildRequest(resolved=resolved, offline=offline, allow_edits=edited)
    if undo:
        layers = layers_of(resolved.profile, request.patches)
        tree = trees.tree_folder(
            request.workspace, resolved.profile.tag, resolved.profile.cuda.arch_list, layers.optional
        )
        return _undo(tree, as_json=as_json)
    wanted = room.DevelopRequest(build=request, python=into, installer=installer, dependencies=deps)
    with watching(None) as watcher:
        done = room.develop(wanted, watcher)
    if as_json:
        render.data(done.as_data())
        return 0
    placed = done.placement
    render.out(
        f"vLLM {done.version}: {_files(placed.files)} in {done.result.tree}, {len(placed.written)} new"
    )
    for text in done.result.notes:
        render.note(f"note: {text}")
    for name in placed.kept:
        render.note(f"note: {name} is the source's own, not the build's")
    for name in placed.edited:
        render.note(
            f"note: {name} was changed since it was put there and stays; delete it to have the build's"
        )
    for shell in shells_of(None)[:1]:
        render.out(f"  installed     {command(done.command, shell) if done.command else 'as before'}")
    render.out(f'next: {done.python} -c "import vllm; print(vllm.__file__)"')
    return 0


def _undo(tree: Path, *, as_json: bool) -> int:
    from winvllm_build.build import develop as room

    removed = room.undo(tree, render.note)
    if as_json:
        render.data({"removed": len(removed or ()), "tree": tree})
    elif removed is None:
        render.out(f"nothing was put into {tree}")
    else:
        render.out(f"{_files(removed)} taken out of {tree}")
    return 0


def _files(files: Sized) -> str:
    return "1 file" if len(files) == 1 else f"{len(files)} files"
