"""`winvllm-build port`: a patch set carried to another tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import JsonOption, PatchesOption

if TYPE_CHECKING:
    from winvllm_build.port.job import Doors

PORT_HELP = """Carry a patch set to another tag by one merge in memory; what is clean is written at once.

\b
Examples:
  winvllm-build port v0.19.0                  from the newest older set
  winvllm-build port v0.19.0 --from v0.14.1 --dry-run
Exit code 0: every patch is carried; 3: some need a decision, the others are written.
"""
OPEN: Final = 3


def register(app: typer.Typer) -> None:
    app.command(help=PORT_HELP)(port)


def port(
    new: Annotated[str, typer.Argument(metavar="NEW", help="The tag to port to.")],
    *,
    old: Annotated[str | None, typer.Option("--from", metavar="OLD", help="The tag to port from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Write nothing.")] = False,
    no_resolve: Annotated[
        bool, typer.Option("--no-resolve", help="Leave conflicts that have one answer to me.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every patch.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build import data
    from winvllm_build.cli import port_text
    from winvllm_build.port import port as room
    from winvllm_build.port.job import refuse_installed
    from winvllm_build.port.opening import open_job

    root = patches.absolute() if patches else data.patches_root()
    options = room.Options(resolve=not no_resolve)
    if not dry_run:
        refuse_installed(root, f"winvllm-build port {new}")
    job = open_job(root, new, _doors(offline=offline), old=old)
    if dry_run:
        computed = room.preview(job, options)
    else:
        room.refuse_present(job)
        computed, _ = room.port(job, options)
    if as_json:
        render.data(port_text.record_data(computed.record) | {"seconds": round(computed.seconds, 3)})
    else:
        port_text.show_record(computed.record, verbose=verbose)
        render.out(f"{port_text.summary(computed.record)} ({render.duration(computed.seconds)})")
    return OPEN if computed.record.open else 0


def _doors(*, offline: bool) -> Doors:
    from winvllm_build.index import Index
    from winvllm_build.port.job import Doors
    from winvllm_build.sources.remote import Remotes
    from winvllm_build.workspace import Workspace

    workspace = Workspace.default()
    return Doors(
        workspace=workspace, index=Index(workspace, offline=offline, on_event=render.note),
        remotes=Remotes(offline=offline), offline=offline, tell=render.note,
    )  # fmt: skip
