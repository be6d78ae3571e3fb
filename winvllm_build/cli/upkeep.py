"""`winvllm-build lint`, `doctor patches` and `drop`: is a patch set in order, and taking a patch out."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import (
    JsonOption,
    PatchesOption,
    TagArgument,
    TagOption,
    TargetOption,
    chosen_set,
)

if TYPE_CHECKING:
    from winvllm_build.review.diagnosis import Check, Diagnosis
    from winvllm_build.review.drop import Drop
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
PATCHES_HELP = """Which is wrong: a patch file, the lock, the tag or the tool. Nothing is written.

Each patch is held against the lock and, where the source is at hand, proven on it; the lock's trees are
computed again; manifest, lock and source have to mean one commit; git is tried on a known input.

\b
Examples:
  winvllm-build doctor patches
  winvllm-build doctor patches v0.14.1 --verbose     every check with its evidence
  winvllm-build doctor patches --tree ../vllm        prove on this tree, too
  winvllm-build doctor patches --online              has the tag moved upstream?
Exit code 0: healthy; 1: something is wrong, or left over from a killed run.
"""
DROP_HELP = """Take a patch out of a set: its file, its place in the lock, and the reason into patchset.toml.

The rest is proven on the tag's source first. A tree with the set applied is outdated then; `apply` takes the
file back there.

\b
Examples:
  winvllm-build drop csrc/topk.cu --reason "upstream builds with /std:c++20 now"
  winvllm-build drop topk.cu math.hpp --tag v0.14.1 --reason "not needed with CUDA 13" --dry-run
  winvllm-build drop setup.py --layer fast --reason "moved to the port"
"""
FINDINGS: Final = 1


def register(app: typer.Typer) -> None:
    app.command(help=DROP_HELP)(drop)
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


def doctor_patches(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    tree: Annotated[
        Path | None, typer.Option("--tree", help="A source tree to prove on, and to look for leftovers in.")
    ] = None,
    target: TargetOption = "vllm",
    online: Annotated[bool, typer.Option("--online", help="Ask upstream where the tag is now.")] = False,
    patches: PatchesOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="What agrees as well.")] = False,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.review import doctor as room
    from winvllm_build.workspace import Workspace

    root, chosen = chosen_set(patches, given, tag)
    found = room.examine(
        root, chosen, workspace=Workspace.default(), tree=tree.absolute() if tree else None, target=target,
        online=online,
    )  # fmt: skip
    if as_json:
        render.data(_diagnosis_data(found))
    else:
        _show_diagnosis(found, verbose=verbose)
    return 0 if found.is_healthy else FINDINGS


def drop(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="A path, the end of one, or a glob.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why the patch goes.")],
    tag: TagOption = None,
    layer: Annotated[str | None, typer.Option("--layer", help="The layer it is in.")] = None,
    target: TargetOption = "vllm",
    tree: Annotated[
        Path | None, typer.Option("--tree", help="A source tree to prove the rest on; default: the tool's.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Prove everything, write nothing.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is cached.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.review import drop as room
    from winvllm_build.workspace import Workspace

    root, chosen = chosen_set(patches, None, tag)
    request = room.Request(
        root=root, tag=chosen, words=tuple(paths), reason=reason, layer=layer, target=target,
        tree=tree.absolute() if tree else None, offline=offline, check=dry_run,
    )  # fmt: skip
    done = room.drop(request, workspace=Workspace.default(), on_event=render.note)
    if as_json:
        render.data(_drop_data(done, chosen, written=not dry_run))
    else:
        _show_dropped(done, root, chosen, written=not dry_run)
    return 0


def _show_dropped(done: Drop, root: Path, tag: str, *, written: bool) -> None:
    if not done.removed:
        names = ", ".join(entry.path for entry in done.dropped)
        render.out(f"{tag}: dropped already: {names}; {done.left} patches are left")
        return
    would = "" if written else "would be "
    for file in done.removed:
        render.out(f"  {would}removed  {file.relative_to(root).as_posix()}")
    for file in done.written:
        render.out(f"  {would}written  {file.relative_to(root).as_posix()}")
    for name in done.unanswered:
        render.note(f"note: no patch answers {name} any more; say in hazards.toml what becomes of it")
    took = render.duration(done.seconds)
    render.out(f"{tag}: {len(done.dropped)} patches {would}dropped, {done.left} are left ({took})")


def _drop_data(done: Drop, tag: str, *, written: bool) -> dict[str, Any]:
    return {
        "tag": tag, "dropped": [asdict(entry) for entry in done.dropped], "left": done.left,
        "written": [str(file) for file in done.written], "removed": [str(file) for file in done.removed],
        "unanswered": list(done.unanswered), "dry_run": not written, "seconds": round(done.seconds, 3),
    }  # fmt: skip


def _show_diagnosis(found: Diagnosis, *, verbose: bool) -> None:
    from winvllm_build.review.diagnosis import UNWELL, State

    styles = {State.AGREES: "green", State.UNCHECKED: "dim", State.NOTE: "dim", State.LEFT: "yellow"}
    for check in found.checks:
        bad = check.state in UNWELL
        if not (bad or verbose or check.state is State.UNCHECKED):
            continue
        render.console().print(f"{check.state.value:<12} {check.words}", style=styles.get(check.state, "red"))
        for line in check.evidence if bad or verbose else ():
            render.out(f"             {line}")
        if check.fix:
            render.out(f"             fix: {check.fix}")
    render.out(f"{found.tag}: {found.sentence}")


def _diagnosis_data(found: Diagnosis) -> dict[str, Any]:
    return {
        "tag": found.tag, "healthy": found.is_healthy, "sentence": found.sentence,
        "culprits": [part.value for part in found.culprits],
        "checks": [_check_data(check) for check in found.checks],
    }  # fmt: skip


def _check_data(check: Check) -> dict[str, Any]:
    return {
        "name": check.name, "state": check.state.value, "parts": [part.value for part in check.parts],
        "words": check.words, "evidence": list(check.evidence), "fix": check.fix,
    }  # fmt: skip


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
