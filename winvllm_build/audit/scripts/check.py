"""All checks of scripts: which files, which check for which, what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.audit.scripts import batch, linters, powershell, shell, trial
from winvllm_build.audit.scripts.rules import Finding, Kind, NotRun
from winvllm_build.audit.scripts.trial import Cmd, Trial
from winvllm_build.data import PACKAGE
from winvllm_build.errors import UsageError

SUFFIXES: Final = {
    ".bat": Kind.BATCH, ".cmd": Kind.BATCH, ".ps1": Kind.POWERSHELL, ".psm1": Kind.POWERSHELL,
    ".sh": Kind.SHELL,
}  # fmt: skip
OURS: Final = ("scripts", ".ci")
"""The folders of a checkout that hold scripts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was looked at, what was found, what could not be looked at, what was run."""

    scripts: tuple[tuple[str, Kind], ...]
    findings: tuple[Finding, ...]
    not_run: tuple[NotRun, ...]
    trials: tuple[Trial, ...] = ()


def check(paths: Sequence[Path] = (), *, cmd: Cmd | None = None) -> Report:
    """Parse and lint scripts; run batch files where a cmd.exe is given.

    Args:
        paths: files, and folders whose scripts are meant; none: the scripts of this checkout.
        cmd: runs batch files, of this checkout those for which it is known how they should end.

    Raises:
        UsageError: a path is not there, is no script, or this installation has no scripts of its own.
        ToolchainError: the PowerShell grammar is missing, or a linter or wine does not work.
    """
    scripts = chosen(paths)
    contents = {path: file.read_bytes() for path, (file, _) in scripts.items()}
    findings: list[Finding] = []
    not_run: list[NotRun] = []
    for path, (file, kind) in scripts.items():
        match kind:
            case Kind.BATCH:
                findings += batch.check(path, contents[path])
            case Kind.POWERSHELL:
                findings += powershell.check(path, contents[path])
            case Kind.SHELL:
                wrong, left = shell.check(path, file, contents[path])
                findings += wrong
                not_run += left
    for wrong, left in (
        linters.blinter(_of(scripts, Kind.BATCH)),
        linters.shellcheck(_of(scripts, Kind.SHELL)),
    ):
        findings += wrong
        not_run += left
    trials, wrong = ((), ()) if cmd is None else _tried(_of(scripts, Kind.BATCH), cmd, own=not paths)
    findings += wrong
    findings.sort(key=lambda one: (one.path, one.line, one.rule.value.id))
    return Report(
        scripts=tuple((path, kind) for path, (_, kind) in scripts.items()), findings=tuple(findings),
        not_run=tuple(dict.fromkeys(not_run)), trials=trials,
    )  # fmt: skip


def _tried(
    files: Mapping[str, Path], cmd: Cmd, *, own: bool
) -> tuple[tuple[Trial, ...], tuple[Finding, ...]]:
    if not own:
        return tuple(trial.run(path, file, cmd) for path, file in files.items()), ()
    done, findings = trial.captures(cmd)
    return (*done, *(trial.refusal(path, file) for path, file in files.items())), findings


def chosen(paths: Sequence[Path]) -> Mapping[str, tuple[Path, Kind]]:
    """The scripts that `paths` mean, by the name they are shown under.

    Raises:
        UsageError: a path is not there, is no script, or this installation has no scripts of its own.
    """
    if not paths:
        return _own(PACKAGE.parent)
    found: dict[str, tuple[Path, Kind]] = {}
    for path in paths:
        if path.is_dir():
            files = list(_scripts(file for file in path.rglob("*") if file.is_file()))
            if not files:
                raise UsageError(f"{path} holds no .bat, .cmd, .ps1 or .sh", fix="name another folder")
        else:
            files = list(_scripts([path])) if path.is_file() else []
            if not files:
                what = "is no .bat, .cmd, .ps1 or .sh" if path.exists() else "is not there"
                raise UsageError(f"{path} {what}", fix="name a script, or a folder with scripts")
        found.update({file.as_posix(): (file.absolute(), kind) for file, kind in files})
    return dict(sorted(found.items()))


def has_own(root: Path = PACKAGE.parent) -> bool:
    """Whether this installation is a checkout, with scripts."""
    return (root / "pyproject.toml").is_file() and (root / OURS[0]).is_dir()


def _own(root: Path) -> Mapping[str, tuple[Path, Kind]]:
    if not has_own(root):
        raise UsageError(
            "this installation is no checkout and has no scripts of its own",
            fix="winvllm-build audit scripts PATH",
        )
    files = (file for name in OURS for file in (root / name).rglob("*") if file.is_file())
    named = {file.relative_to(root).as_posix(): (file, kind) for file, kind in _scripts(files)}
    return dict(sorted(named.items()))


def _scripts(files: Iterable[Path]) -> Iterable[tuple[Path, Kind]]:
    for file in files:
        kind = SUFFIXES.get(file.suffix.lower()) or (_shebang(file) if not file.suffix else None)
        if kind is not None:
            yield file, kind


def _shebang(file: Path) -> Kind | None:
    with file.open("rb") as opened:
        first = opened.readline(200)
    return Kind.SHELL if first.startswith(b"#!") and b"sh" in first.rsplit(b"/", 1)[-1] else None


def _of(scripts: Mapping[str, tuple[Path, Kind]], kind: Kind) -> Mapping[str, Path]:
    return {path: file for path, (file, own) in scripts.items() if own is kind}
