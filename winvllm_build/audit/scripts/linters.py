"""The linters of others, run as programs: Blinter for batch files, ShellCheck for shell scripts."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from winvllm_build import data, process
from winvllm_build.audit.scripts.rules import Finding, NotRun, Rule
from winvllm_build.errors import ToolchainError

SECONDS: Final = 120.0
OURS: Final = frozenset({"E018"})
"""What Blinter says of line ends is said by a rule of ours."""

Findings = tuple[tuple[Finding, ...], tuple[NotRun, ...]]


def blinter(files: Mapping[str, Path]) -> Findings:
    """What Blinter calls an error; its other severities are matters of taste.

    It is a program under the AGPL and needs Python 3.11: it is started, never imported.

    Raises:
        ToolchainError: it answers with something else than its report.
    """
    if not files:
        return (), ()
    if importlib.util.find_spec("blinter") is None:
        why = "it is not installed" + (" and needs Python 3.11" if sys.version_info < (3, 11) else "")
        return (), (NotRun(check="blinter", why=why, fix=data.installing(extra="audit")),)
    found = []
    for path, file in files.items():
        options = ("--format", "json", "--no-config", "--fail-on", "error")
        report = _json([sys.executable, "-m", "blinter", file, *options], "blinter")
        for issue in report["issues"]:
            if issue["severity"] == "Error" and issue["code"] not in OURS:
                detail = f"{issue['code']}: {issue['context'] or issue['name']}"
                found.append(Finding(rule=Rule.BLINTER, path=path, line=issue["line"], detail=detail))
    return tuple(found), ()


def shellcheck(files: Mapping[str, Path]) -> Findings:
    """What ShellCheck calls an error or a warning.

    Raises:
        ToolchainError: it answers with something else than its report.
    """
    if not files:
        return (), ()
    program = process.which("shellcheck") or _beside("shellcheck")
    if program is None:
        return (), (
            NotRun(check="shellcheck", why="it is not installed", fix=data.installing(extra="audit")),
        )
    found = []
    for path, file in files.items():
        options = ("--external-sources", "--source-path=SCRIPTDIR", "--severity=warning", "--format=json1")
        report = _json([program, *options, file], "shellcheck")
        for comment in report["comments"]:
            if Path(comment["file"]) != file:
                continue
            detail = f"SC{comment['code']}: {comment['message']}"
            found.append(Finding(rule=Rule.SHELLCHECK, path=path, line=comment["line"], detail=detail))
    return tuple(found), ()


def _beside(name: str) -> Path | None:
    """A program that pip laid down beside this Python."""
    return process.which(name, path=str(Path(sys.executable).parent))


def _json(command: Sequence[str | Path], name: str) -> dict[str, Any]:
    done = process.capture(command, timeout=SECONDS)
    try:
        report: dict[str, Any] = json.loads(done.text)
    except ValueError as error:
        said = done.error_text.splitlines()[-1:] or [f"exit code {done.code}"]
        raise ToolchainError(
            f"{name} did not answer with its report: {said[0]}", fix=data.installing(extra="audit")
        ) from error
    return report
