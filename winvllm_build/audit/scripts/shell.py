"""Checks of POSIX shell scripts: their bytes, and what the shell they are written for says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from winvllm_build import process
from winvllm_build.audit.scripts.batch import marked
from winvllm_build.audit.scripts.rules import Finding, NotRun, Rule

SECONDS: Final = 60.0
STRICT: Final = ("dash", "sh")
"""Who parses a script for sh: dash where it is there, because bash as sh takes more than sh."""
NUMBERED: Final = re.compile(r"(?:line )?(\d+): (.+)")


def check(path: str, file: Path, content: bytes) -> tuple[tuple[Finding, ...], tuple[NotRun, ...]]:
    """What is wrong with a shell script, by line.

    Args:
        path: how it is called in findings.
        file: where it lies.
        content: its bytes.
    """
    found = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.endswith(b"\r"):
            found.append(Finding(rule=Rule.LINE_ENDS, path=path, line=number, detail="ends in CRLF"))
            break
    if marked(content):
        found.append(Finding(rule=Rule.BOM, path=path, line=1, detail="begins with a byte order mark"))
    name = "bash" if b"bash" in content.split(b"\n", 1)[0] else "sh"
    shell = _shell(name)
    if shell is None:
        return tuple(found), (NotRun(check=f"{name} -n", why=f"there is no {name} on PATH"),)
    done = process.capture([shell, "-n", file], timeout=SECONDS)
    if done.code:
        found.append(_syntax(path, done.error_text))
    return tuple(found), ()


def _shell(name: str) -> Path | None:
    names = STRICT if name == "sh" else (name,)
    return next((found for one in names if (found := process.which(one))), None)


def _syntax(path: str, said: str) -> Finding:
    first = said.splitlines()[0] if said else "the shell refuses it"
    match = NUMBERED.search(first)
    line, detail = (int(match[1]), match[2]) if match else (0, first)
    return Finding(rule=Rule.SYNTAX, path=path, line=line, detail=detail)
