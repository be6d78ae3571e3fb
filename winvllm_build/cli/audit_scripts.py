"""`winvllm-build audit scripts`: the scripts of a checkout, parsed and held against rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import JsonOption
from winvllm_build.cli.rows import Row, Section, counted, show_sections

if TYPE_CHECKING:
    from winvllm_build.audit.scripts.check import Report
    from winvllm_build.audit.scripts.rules import Finding, NotRun, Rule
    from winvllm_build.audit.scripts.trial import Trial

HELP = """Parse and lint .ps1, .bat, .cmd and .sh files. Nothing of them is run unless --run is given.

PowerShell is parsed with the grammar of 5.1, shell scripts by sh, batch files by rules of our own and by
Blinter; ShellCheck is asked where it is installed. docs/audit.md lists the rules.

\b
Examples:
  winvllm-build audit scripts                 the scripts of this checkout
  winvllm-build audit scripts ../launcher start.bat --json
  winvllm-build audit scripts --run           batch logic under wine's cmd.exe, as far as that can be trusted
Exit code 0: nothing found; 1: findings.
"""
FINDINGS = 1


def register(app: typer.Typer) -> None:
    app.command("scripts", help=HELP)(scripts)


def scripts(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help="Files or folders; default: this checkout's.")
    ] = None,
    *,
    run: Annotated[
        bool, typer.Option("--run", help="Run batch files under wine, in a copy of their folder.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.audit.scripts.check import check
    from winvllm_build.audit.scripts.trial import find_cmd
    from winvllm_build.workspace import Workspace

    report = check(paths or (), cmd=find_cmd(Workspace.default()) if run else None)
    if as_json:
        render.data(data(report))
    else:
        show(report)
    return FINDINGS if report.findings else 0


def show(report: Report) -> None:
    told = dict.fromkeys(one.rule for one in report.findings)
    show_sections(
        [
            Section("findings", tuple(_finding_row(one) for one in report.findings)),
            Section("rules", tuple(_rule_row(rule) for rule in told if rule.value.why)),
            Section("run under wine's cmd.exe", tuple(_trial_row(one) for one in report.trials)),
            Section("not run", tuple(_left_out_row(one) for one in report.not_run)),
        ]
    )
    kinds = [kind for _, kind in report.scripts]
    by_kind = ", ".join(f"{kinds.count(kind)} for {kind.value}" for kind in dict.fromkeys(kinds))
    render.out(f"{counted(len(kinds), 'script')} ({by_kind}): {counted(len(report.findings), 'finding')}")


def data(report: Report) -> dict[str, Any]:
    return {
        "scripts": [{"path": path, "for": kind.value} for path, kind in report.scripts],
        "findings": [
            {"rule": one.rule.value.id, "path": one.path, "line": one.line, "detail": one.detail}
            for one in report.findings
        ],
        "trials": [
            {
                "path": one.path,
                "what": one.what,
                "refused": one.refused,
                "code": one.code,
                "output": one.output,
            }
            for one in report.trials
        ],
        "not_run": [{"check": one.check, "why": one.why, "fix": one.fix} for one in report.not_run],
    }


def _finding_row(one: Finding) -> Row:
    place = f"{one.path}:{one.line}" if one.line else one.path
    return Row(place, one.rule.value.id, one.detail)


def _rule_row(rule: Rule) -> Row:
    return Row(rule.value.id, f"{rule.value.why}; fix: {rule.value.fix}", style="dim")


def _trial_row(one: Trial) -> Row:
    if one.refused:
        return Row(one.path, one.what, f"refused: {one.refused}", style="yellow")
    last = one.output.splitlines()[-1:]
    return Row(one.path, one.what, f"exit {one.code}{f', last line: {last[0]}' if last else ''}")


def _left_out_row(one: NotRun) -> Row:
    return Row(one.check, f"{one.why}{f'; fix: {one.fix}' if one.fix else ''}", style="yellow")
