"""`winvllm-build state`: the finished edges of all builds: listed, carried elsewhere, pruned, checked."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winvllm_build.cli import render

if TYPE_CHECKING:
    from winvllm_build.build.store.inventory import Inventory, Pruned, Share

HELP = """What builds have finished: compiled and linked files, kept by content, used by every later build.

A build that was killed, on this machine or another, goes on with what is here. Nothing here is needed: what
is missing or damaged is compiled again.

\b
Examples:
  winvllm-build state                                what is there, per tag and build
  winvllm-build state export edges.tar --tag v0.33.0     for another machine, or the next try of a CI job
  winvllm-build state import edges.tar
  winvllm-build state prune --keep 20GB
"""
SHOW_HELP = """What is there, per tag and build.

\b
Examples:
  winvllm-build state show
  winvllm-build state show --json
"""
EXPORT_HELP = """Write finished edges into one file; compressed, if its name ends in .gz or .tgz.

The same edges make the same bytes. The file is written whole or not at all.

\b
Examples:
  winvllm-build state export edges.tar                   everything
  winvllm-build state export edges.tar --tag v0.33.0     what builds of a tag made or used
  winvllm-build state export edges.tgz --build v0.33.0-sm86-release-1a2b3c4d
"""
IMPORT_HELP = """Take over what `state export` wrote, here or on another machine.

Each file is checked whole before anything of it is used. Import only files that you trust as you trust a
compiler: an object from them goes into the wheel as it is. A pattern works in every shell.

\b
Examples:
  winvllm-build state import edges.tar
  winvllm-build state import shard-*.tar
"""
PRUNE_HELP = """Remove what was not used for longest.

\b
Examples:
  winvllm-build state prune --keep 20GB
  winvllm-build state prune --keep 500MB --json
"""
CLEAR_HELP = """Remove all finished edges; build folders keep what they have.

\b
Examples:
  winvllm-build state clear
"""
VERIFY_HELP = """Read everything; what is damaged is removed, so that it is compiled again.

\b
Examples:
  winvllm-build state verify
Exit code 0: all is whole; 1: something was damaged.
"""
FINDINGS: Final = 1
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, invoke_without_command=True, rich_markup_mode=None)
    group.callback()(state)
    group.command("show", help=SHOW_HELP)(show)
    group.command("export", help=EXPORT_HELP)(export)
    group.command("import", help=IMPORT_HELP)(import_)
    group.command("prune", help=PRUNE_HELP)(prune)
    group.command("clear", help=CLEAR_HELP)(clear)
    group.command("verify", help=VERIFY_HELP)(verify)
    app.add_typer(group, name="state", help=HELP)


def state(context: typer.Context, *, as_json: JsonOption = False) -> None:
    if context.invoked_subcommand is None:
        show(as_json=as_json)


def show(*, as_json: JsonOption = False) -> None:
    from winvllm_build.build.store import inventory

    found = inventory.take(_root())
    if as_json:
        render.data(_data(found))
    else:
        _show(found)


def export(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only what builds of this tag made or used; repeat.")
    ] = None,
    build: Annotated[
        list[str] | None,
        typer.Option("--build", metavar="NAME", help="Only what this build folder used; repeat."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    from winvllm_build.build.store import transfer

    done = transfer.export(_root(), file.absolute(), tags=tag or (), builds=build or ())
    if as_json:
        render.data(asdict(done))
    else:
        render.out(f"{done.file}: {_edges(done.edges)}, {render.memory_size(done.size)}")


def import_(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="What `state export` wrote; a pattern such as *.tar."),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    from winvllm_build.build.store import transfer
    from winvllm_build.cli import patterns

    rows: list[dict[str, Any]] = []
    for file in patterns.files(files):
        done = transfer.import_(_root(), file.absolute())
        rows.append({"file": str(file.absolute()), **asdict(done)})
        if not as_json:
            render.out(f"{file}: {_edges(done.edges)}, {done.new} of them new")
    if as_json:
        render.data(rows)


def prune(
    *,
    keep: Annotated[str, typer.Option("--keep", metavar="SIZE", help="What may stay: 500MB, 20GB.")],
    as_json: JsonOption = False,
) -> None:
    from winvllm_build.build.store import inventory, sizes

    _pruned(inventory.prune(_root(), sizes.parse(keep)), as_json=as_json)


def clear(*, as_json: JsonOption = False) -> None:
    from winvllm_build.build.store import inventory

    _pruned(inventory.clear(_root()), as_json=as_json)


def verify(*, as_json: JsonOption = False) -> int:
    from winvllm_build.build.store import inventory

    done = inventory.verify(_root())
    if as_json:
        render.data(asdict(done))
    else:
        for what in done.damaged:
            render.out(f"removed: {what}")
        outcome = f"{len(done.damaged)} damaged and removed" if done.damaged else "all whole"
        render.out(f"{_edges(done.records)}, {done.contents} contents: {outcome}")
    return FINDINGS if done.damaged else 0


def _root() -> Path:
    from winvllm_build.workspace import Workspace

    return Workspace.default().objects


def _pruned(done: Pruned, *, as_json: bool) -> None:
    if as_json:
        render.data(asdict(done))
        return
    freed = render.memory_size(done.freed)
    left = render.memory_size(done.size)
    render.out(f"{_edges(done.removed)} removed ({freed}), {_edges(done.left)} left ({left})")


def _data(found: Inventory) -> dict[str, Any]:
    return {**asdict(found), "root": str(found.root)}


def _show(found: Inventory) -> None:
    if not found.edges:
        render.out(f"no finished edges in {found.root}")
        return
    for title, shares in (("tag", found.tags), ("build", found.builds)):
        for share in shares:
            render.out(f"{title:<6} {_row(share)}")
    hours = render.duration(found.seconds)
    render.out(f"{_edges(found.edges)}, {render.memory_size(found.size)}, {hours} of work: {found.root}")
    if found.orphans:
        render.out(f"{found.orphans} contents belong to no edge; `winvllm-build state prune` removes them")


def _row(share: Share) -> str:
    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(share.used))
    size = render.memory_size(share.size)
    return f"{share.name or '-':<44} {_edges(share.edges):>10} {size:>8}  last used {used}"


def _edges(count: int) -> str:
    return f"{count} edge" if count == 1 else f"{count} edges"
