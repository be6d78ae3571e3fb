"""A command as its words have to be written in the shell that it is pasted into."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from enum import Enum
from typing import Final

from typing_extensions import assert_never

PLAIN: Final = re.compile(r"[A-Za-z0-9_./:\\=+~-]+")
POWERSHELL_QUOTES: Final = re.compile("(['\u2018\u2019\u201a\u201b])")
"""PowerShell reads typographic quotes as quotes."""


class Shell(Enum):
    """The shells that commands are written for."""

    CMD = "cmd"
    POWERSHELL = "powershell"
    SH = "sh"


def of_system() -> tuple[Shell, ...]:
    """The shells that a user of this system may sit at."""
    return (Shell.CMD, Shell.POWERSHELL) if os.name == "nt" else (Shell.SH,)


def typed(words: Sequence[str], shells: Sequence[Shell]) -> list[str]:
    """The line for each of these shells, with its name where they write it otherwise."""
    written: dict[str, list[str]] = {}
    for shell in shells:
        written.setdefault(command(words, shell), []).append(shell.value)
    return [f"{line}   ({', '.join(known)})" if len(written) > 1 else line for line, known in written.items()]


def command(words: Sequence[str], shell: Shell) -> str:
    """One line that starts exactly this program with exactly these arguments, typed at the prompt."""
    match shell:
        case Shell.SH:
            return shlex.join(words)
        case Shell.CMD:
            return " ".join(_cmd(word) for word in words)
        case Shell.POWERSHELL:
            line = " ".join(_powershell(word) for word in words)
            return f"& {line}" if line.startswith("'") else line
        case _:
            assert_never(shell)


def _cmd(word: str) -> str:
    """Quoted where needed; a % stands outside the quotes, where a ^ keeps it from naming a variable."""
    if PLAIN.fullmatch(word):
        return word
    return "^%".join(_for_windows(part) for part in word.split("%"))


def _for_windows(part: str) -> str:
    """In double quotes, as Microsoft's C library takes them apart again."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', part)
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'


def _powershell(word: str) -> str:
    return word if PLAIN.fullmatch(word) else "'" + POWERSHELL_QUOTES.sub(r"\1\1", word) + "'"
