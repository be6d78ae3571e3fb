"""`winvllm-build port`: a patch set carried to another tag, and what is open decided by a human."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from winvllm_build.cli.patches import JsonOption, PatchesOption

PORT_HELP = """Carry a patch set to another tag by one merge in memory; what is clean is written at once.

\b
Examples:
  winvllm-build port v0.19.0                    from the newest older set
  winvllm-build port v0.19.0 --from v0.14.1 --dry-run
What is open is handed over in a worktree, in the middle of a cherry-pick. Edit it there, then:
  winvllm-build port v0.19.0 --status           what is decided, what is not, and what to do
  winvllm-build port v0.19.0 --continue
  winvllm-build port v0.19.0 --skip csrc/topk.cu --reason "upstream has its own"
  winvllm-build port v0.19.0 --accept setup.py  a merge that git has no question about is right
  winvllm-build port v0.19.0 --abort            everything as it was before; edits are kept
  winvllm-build port v0.19.0 --restart          a new worktree; what was resolved is remembered
Before that, over many tags:
  winvllm-build port --report v0.14.1.. --html report.html
  winvllm-build port v0.19.0 --explain csrc/topk.cu
After it, when the older set gets a patch:
  winvllm-build port v0.19.0 --account          enter what became of it into the record
Exit code 0: every patch is carried or decided; 3: a human has to decide, the rest is written.
"""
STATUS, CONTINUE, ABORT, RESTART = "--status", "--continue", "--abort", "--restart"
DECIDE, REPORT, EXPLAIN, BEGIN = "--skip or --accept", "--report", "--explain", ""
ACCOUNT = "--account"
FITS: Final = {
    "--from": (BEGIN, REPORT, EXPLAIN), "--dry-run": (BEGIN,), "--replace": (BEGIN,),
    "--no-resolve": (BEGIN,), "--resolver": (BEGIN, CONTINUE, RESTART), "--reason": (DECIDE, ACCOUNT),
    "--html": (REPORT,), "--history": (EXPLAIN,),
}  # fmt: skip
"""Which verbs each of the other options is for."""


def register(app: typer.Typer) -> None:
    app.command(help=PORT_HELP)(port)


def port(
    new: Annotated[str | None, typer.Argument(metavar="NEW", help="The tag to port to.")] = None,
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="[PATH]...", help="For --explain and --account.")
    ] = None,
    *,
    old: Annotated[str | None, typer.Option("--from", metavar="OLD", help="The tag to port from.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Write nothing.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace patches that are there, kept as a commit.")
    ] = False,
    no_resolve: Annotated[
        bool, typer.Option("--no-resolve", help="Leave conflicts that have one answer to me.")
    ] = False,
    resolver: Annotated[
        str | None, typer.Option("--resolver", help="Propose resolutions with this program: mergiraf.")
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Where the port stands.")] = False,
    go_on: Annotated[bool, typer.Option("--continue", help="Take what the worktree has.")] = False,
    abort: Annotated[bool, typer.Option("--abort", help="Everything as it was before.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Abort, and begin anew.")] = False,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="PATH", help="Give a patch up.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why it is given up.")] = "",
    accept: Annotated[
        list[str] | None, typer.Option("--accept", metavar="PATH", help="The merge of it is right.")
    ] = None,
    accept_strict: Annotated[
        list[str] | None,
        typer.Option("--accept-strict", metavar="PATH", help="Strict application of it is right."),
    ] = None,
    account: Annotated[
        bool, typer.Option("--account", help="Record patches that the older set got later.")
    ] = False,
    report: Annotated[
        str | None, typer.Option("--report", metavar="RANGE", help="Patch by tag: what would happen.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as a page, too.")] = None,
    explain: Annotated[bool, typer.Option("--explain", help="What broke the open patches.")] = False,
    history: Annotated[
        Path | None, typer.Option("--history", help="A clone of upstream with its history.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every patch.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    verbs = {
        STATUS: status, CONTINUE: go_on, ABORT: abort, RESTART: restart,
        DECIDE: bool(skip or accept or accept_strict), REPORT: report is not None, EXPLAIN: explain,
        ACCOUNT: account,
    }  # fmt: skip
    given = {
        "--from": old is not None, "--dry-run": dry_run, "--replace": replace, "--no-resolve": no_resolve,
        "--resolver": resolver is not None, "--reason": bool(reason), "--html": html is not None,
        "--history": history is not None,
    }  # fmt: skip
    verb = _verb([name for name, wanted in verbs.items() if wanted], given)
    if verb in (REPORT, EXPLAIN):
        from winvllm_build.cli import port_report

        if report is not None:
            return port_report.run_report(
                span=report, old=old, patches=patches, html=html, offline=offline, as_json=as_json
            )
        return port_report.run_explain(
            new=_tag(new, [], verb), paths=tuple(paths or ()), old=old, patches=patches, history=history,
            offline=offline, as_json=as_json,
        )  # fmt: skip
    from winvllm_build.cli import port_verbs as room

    call = room.call(
        _tag(new, paths or [], verb), patches, offline=offline, verbose=verbose, as_json=as_json,
        resolver=resolver,
    )  # fmt: skip
    actions: dict[str, Callable[[], int]] = {
        STATUS: lambda: room.show_status(call),
        CONTINUE: lambda: room.go_on(call),
        ABORT: lambda: room.abort(call),
        RESTART: lambda: room.restart(call),
        DECIDE: lambda: room.decide(call, skip or [], accept or [], accept_strict or [], reason=reason),
        ACCOUNT: lambda: room.account(call, paths or [], reason=reason),
        BEGIN: lambda: room.begin(call, old, resolve=not no_resolve, replace=replace),
    }
    return room.preview(call, old, resolve=not no_resolve) if dry_run else actions[verb]()


def _verb(named: list[str], given: dict[str, bool]) -> str:
    """The one thing that is asked for; `BEGIN` where nothing else is.

    Raises:
        UsageError: two things, or an option that has no meaning with it.
    """
    from winvllm_build.errors import UsageError

    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} contradict each other", fix="name one of them")
    verb = named[0] if named else BEGIN
    for option, wanted in given.items():
        if wanted and verb not in FITS[option]:
            with_it = f" together with {verb}" if verb else ""
            fits = ", ".join(name for name in FITS[option] if name) or "the port itself"
            raise UsageError(f"{option} has no meaning{with_it}", fix=f"leave it out; it is for {fits}")
    return verb


def _tag(new: str | None, paths: list[str], verb: str) -> str:
    from winvllm_build.errors import UsageError

    if new is None:
        raise UsageError("no tag to port to is named", fix="winvllm-build port NEW; see port --help")
    if paths and verb not in (EXPLAIN, ACCOUNT):
        raise UsageError(
            f"{' '.join(paths)}: only --explain and --account take paths after the tag",
            fix=f"winvllm-build port {new} --skip {paths[0]}, or --accept {paths[0]}",
        )
    return new
