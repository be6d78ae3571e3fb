"""Batch files run by wine's cmd.exe, as far as that does what Windows' does.

What it does otherwise was tried with wine 8.0: the right side of `&&` and `||` always runs, powershell.exe is
a stub that returns 0, robocopy is one too, and a replacement in a delayed expansion goes wrong. A script that
uses one of them is refused.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build import process
from winvllm_build.audit.frontend.parts import WINE_FOLDERS, WINE_NAMES
from winvllm_build.audit.frontend.wine import Wine, prepare
from winvllm_build.audit.scripts.batch_text import inner, logical_lines, read
from winvllm_build.audit.scripts.rules import Finding, Rule
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain.msvc import capture_words, parse_set
from winvllm_build.workspace import Workspace

DETACHED: Final = 'said=$1; shift; exec "$@" >"$said" 2>/dev/null'
"""Wine leaves servers running that would hold a pipe open for seconds after the script has ended."""
SECONDS: Final = 120.0
STUBS: Final = re.compile(r'(?:.*[\\/"])?(powershell|pwsh|robocopy)(?:\.exe)?"?', re.IGNORECASE)
DELAYED: Final = re.compile(r"!\w+:[^!]*=[^!]*!")
AS_IT_IS: Final = "as it is"
CAPTURED: Final = "vcvarsall.bat"
LARGEST: Final = 10_000_000
"""Bytes of the files beside a script that are copied for its run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A batch file that was run, or why it was not.

    Attributes:
        path: how it is called.
        what: under which circumstances.
        refused: why it was not run; then the rest is empty.
        code: its exit code, as far as wine passes it on (the low eight bits).
        output: what it printed.
    """

    path: str
    what: str
    refused: str = ""
    code: int = 0
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd:
    """wine's cmd.exe, with the prefix that the front ends have too."""

    wine: Wine

    def run(self, folder: Path, words: Sequence[str], variables: Mapping[str, str]) -> process.Completed:
        """Run it in a folder; nothing of our environment reaches it.

        Raises:
            ToolchainError: it did not end in time.
        """
        with tempfile.TemporaryDirectory(prefix="winvllm-said-") as made:
            said = Path(made) / "said"
            shell = ["sh", "-c", DETACHED, "sh", str(said), str(self.wine.loader), "cmd", *words]
            env = {**self.wine.environment, **variables}
            done = process.capture(shell, cwd=folder, env=env, timeout=SECONDS)
            return replace(done, out=said.read_bytes())

    def stop(self) -> None:
        """End what wine leaves running for a few seconds in its prefix.

        Raises:
            ToolchainError: it did not end in time.
        """
        server = self.wine.loader.with_name(self.wine.loader.name.replace("wine", "wineserver"))
        if server.is_file():
            process.capture([server, "-k"], env=self.wine.environment, timeout=SECONDS)


def find_cmd(workspace: Workspace) -> Cmd:
    """Wine's cmd.exe; the first time the prefix is made (0.7 GB, seconds).

    Raises:
        ToolchainError: wine is not installed, or does not run.
        StorageError: the prefix cannot be written.
    """
    if sys.platform == "win32":
        raise ToolchainError("wine stands in for Windows, and this is Windows", fix="run the script itself")
    on_path = (process.which(name) for name in WINE_NAMES)
    aside = (folder / name for folder in WINE_FOLDERS for name in WINE_NAMES if (folder / name).is_file())
    loader = next((found for found in on_path if found), None) or next(aside, None)
    if loader is None:
        raise ToolchainError(
            "wine for 64-bit programs is not installed", fix="apt-get install --no-install-recommends wine64"
        )
    return Cmd(wine=prepare(loader, Path("cmd"), workspace, os.environ))


def distrust(text: str) -> tuple[str, ...]:
    """What a batch file uses that wine's cmd.exe does otherwise than Windows'; nothing if it may be run."""
    found = []
    for command in read(text).commands:
        own = inner([word.lower() for word in command.words]) or []
        for word in own[:1] if own[:1] != ["call"] else own[1:2]:
            stub = STUBS.fullmatch(word)
            if stub:
                found.append(f"line {command.line}: {stub[1]} is a stub")
        if command.before in ("&&", "||"):
            found.append(f"line {command.line}: the right side of {command.before} always runs")
    found += [
        f"line {number}: a replacement in a delayed expansion"
        for number, line in logical_lines(text)
        if DELAYED.search(line)
    ]
    return tuple(found)


def refusal(path: str, file: Path) -> Trial:
    """Why a batch file of ours is not run."""
    reasons = distrust(file.read_bytes().decode("utf-8", "replace"))
    return Trial(path=path, what=AS_IT_IS, refused="; ".join(reasons) or "nothing says how it should end")


def run(path: str, file: Path, cmd: Cmd) -> Trial:
    """Run a batch file in a copy of its folder's own files, without arguments.

    Raises:
        ToolchainError: it did not end in time.
    """
    if distrust(file.read_bytes().decode("utf-8", "replace")):
        return refusal(path, file)
    beside = [one for one in file.parent.iterdir() if one.is_file()]
    if sum(one.stat().st_size for one in beside) > LARGEST:
        return Trial(path=path, what=AS_IT_IS, refused="the files beside it are too large to copy")
    with tempfile.TemporaryDirectory(prefix="winvllm-trial-") as made:
        for one in beside:
            shutil.copy2(one, made)
        done = cmd.run(Path(made), ["/d", "/c", file.name], {})
        return Trial(path=path, what=AS_IT_IS, code=done.code, output=done.text.replace("\r\n", "\n").strip())


def captures(cmd: Cmd) -> tuple[tuple[Trial, ...], tuple[Finding, ...]]:
    """Ask a vcvarsall.bat for a compiler's environment as a build does, on stand-ins for it.

    Raises:
        ToolchainError: a run did not end in time.
    """
    trials, findings = [], []
    for case in CAPTURES:
        done = _capture(case, cmd)
        trials.append(Trial(path=CAPTURED, what=case.what, code=done.code))
        said = parse_set(done.out)
        wrong = [name for name, value in case.variables if said.get(name) != value]
        if done.code != case.code or wrong:
            detail = f"{case.what}: exit {done.code}, not {case.code}; wrong: {', '.join(wrong) or 'nothing'}"
            findings.append(Finding(rule=Rule.WINE, path=CAPTURED, line=0, detail=detail))
    return tuple(trials), tuple(findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A vcvarsall.bat in some folder, and what the capture of its environment has to say."""

    what: str
    folder: str
    script: str
    code: int = 0
    variables: tuple[tuple[str, str], ...] = ()


CAPTURES: Final = (
    Capture(
        what="a compiler", folder="VC", script="@echo noise\n@set INCLUDE=C:\\a b;%~1\n",
        variables=(("INCLUDE", "C:\\a b;x64"),),
    ),
    Capture(
        what="a compiler in a folder with blanks and marks", folder="Build Tools (x86) & more, v1.0",
        script="@set LIB=%~1\n", variables=(("LIB", "x64"),),
    ),
    Capture(
        what="a compiler in a folder with percent signs, carets and exclamation marks",
        folder="100% ^VC! %PATH% & !TEMP!^", script="@set LIB=%~1\n", variables=(("LIB", "x64"),),
    ),
    Capture(what="a vcvarsall.bat that fails", folder="VC", script="@exit /b 3\n", code=1),
    Capture(what="no vcvarsall.bat", folder="", script="", code=1),
)  # fmt: skip


def _capture(case: Capture, cmd: Cmd) -> process.Completed:
    with tempfile.TemporaryDirectory(prefix="winvllm-trial-") as made:
        script = Path(made) / case.folder / "vcvarsall.bat"
        script.parent.mkdir(exist_ok=True)
        if case.script:
            script.write_bytes(case.script.replace("\n", "\r\n").encode())
        return cmd.run(script.parent, capture_words()[1:], {})
