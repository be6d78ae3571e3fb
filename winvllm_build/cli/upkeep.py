"""`winvllm-build lint`: is a patch set in order."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import JsonOption, PatchesOption, TagArgument, TagOption, chosen_set

if TYPE_CHECKING:
    from winvllm_build.review.lint import Report
    from winvllm_build.review.rules import Finding

LINT_HELP = """Hold every rule against a patch set: headers, diffs, names, lock, the record of a port.

Reads the set's own files only: no source tree, no network. docs/lint.md lists the rules.

\b
Examples:
  winvllm-build lint                 the newest set
  winvllm-build lint v0.14.1 --json
  winvllm-build lint --all --strict  every set; warnings fail too, for CI
Exit code 0: no errors; 1: errors, or with --strict any finding.
"""
FINDINGS: Final = 1


def register(app: typer.Typer) -> None:
    app.command(help=LINT_HELP)(lint)


def lint(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every set of the folder.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset.patchset import tags
    from winvllm_build.review import lint as room

    if every and (given or tag):
        raise UsageError("--all and a tag", fix="leave out one of them")
    root, newest = chosen_set(patches, given, tag)
    reports = [room.lint(root, name) for name in (tags(root) if every else [newest])]
    if as_json:
        render.data({"sets": [_report_data(report) for report in reports], "strict": strict})
    else:
        for report in reports:
            _show_report(report)
    return 0 if all(report.is_clean(strict=strict) for report in reports) else FINDINGS


def _show_report(report: Report) -> None:
    from winvllm_build.review.rules import Severity

    fix = ""
    for finding in report.findings:
        place = _named(finding.file) if finding.line is None else f"{_named(finding.file)}:{finding.line}"
        words = f"{place}: {finding.rule.severity.value}: {finding.message} [{finding.rule.id}]"
        render.console().print(words, style="red" if finding.is_error else "yellow")
        if finding.fix != fix:
            render.out(f"  fix: {finding.fix}")
        fix = finding.fix
    counts = [(len(report.of(severity)), severity.value) for severity in Severity]
    found = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count)
    render.out(f"{report.tag}: {report.patches} patches, {found or 'nothing found'}")


def _named(file: Path) -> str:
    """As an editor started here opens it."""
    here = Path.cwd()
    return os.path.relpath(file, here) if file.is_relative_to(here) else str(file)


def _report_data(report: Report) -> dict[str, Any]:
    return {
        "tag": report.tag, "patches": report.patches,
        "findings": [_finding_data(finding) for finding in report.findings],
    }  # fmt: skip


def _finding_data(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.id, "severity": finding.rule.severity.value, "file": str(finding.file),
        "line": finding.line, "message": finding.message, "fix": finding.fix,
    }  # fmt: skip
