"""A command line as ninja prints it, as words; without the shell and the launchers around the compiler."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final

from winvllm_build.build.engine.commandline import wrapped

POSIX_WORD: Final = re.compile(r"""(?:[^\s"'\\]|"(?:[^"\\]|\\.)*"|'[^']*'|\\.)+""", re.DOTALL)
POSIX_SHELL: Final = re.compile(r"^: && (?P<inside>.*?) && :\s*$", re.DOTALL)
WINDOWS_SHELL: Final = re.compile(
    r'^\S*cmd(?:\.exe)?\s+/[cC]\s+"cd \. && (?P<inside>.*) && cd \."\s*$', re.DOTALL | re.IGNORECASE
)

WINDOWS_PIECE: Final = re.compile(r'\\*"|[ \t]+|\\+|[^\\" \t]+')


def split(command: str, *, windows: bool) -> tuple[str, ...]:
    """The words of a command, the shell that CMake puts around a link taken off.

    Args:
        command: one line, as `ninja -t commands` prints it.
        windows: by the rules of `CommandLineToArgvW`, else by those of a POSIX shell.
    """
    around = (WINDOWS_SHELL if windows else POSIX_SHELL).match(command)
    inside = around["inside"] if around else command
    return tuple(split_windows(inside) if windows else split_posix(inside))


def split_posix(command: str) -> list[str]:
    """As `shlex.split`, which takes seconds for the commands of one build."""
    found = POSIX_WORD.findall(command)
    return [shlex.split(word)[0] if re.search(r"[\"'\\]", word) else word for word in found]


def split_windows(command: str) -> list[str]:
    """By Microsoft's rules: backslashes count only before a quote, two quotes inside quotes are one."""
    words: list[str] = []
    word: list[str] = []
    quoted, begun, closed_at = False, False, -1
    for piece in WINDOWS_PIECE.finditer(command):
        text = piece[0]
        if text.isspace() and not quoted:
            words.extend(["".join(word)] if begun else [])
            word, begun = [], False
            continue
        begun = True
        if not text.endswith('"'):
            word.append(text)
            continue
        slashes = len(text) - 1
        word.append("\\" * (slashes // 2))
        doubled = not slashes and piece.start() == closed_at
        if slashes % 2 or doubled:
            word.append('"')
            quoted = quoted or doubled
            continue
        quoted = not quoted
        closed_at = -1 if quoted else piece.end()
    return [*words, "".join(word)] if begun else words


def without_launchers(
    words: Sequence[str], launchers: Sequence[Sequence[str]], *, windows: bool
) -> tuple[str, ...]:
    """The words without the longest of `launchers` that they begin with.

    Behind `cmake -E vs_link_dll ... --`, which CMake puts around a link on Windows, its command begins.

    Args:
        words: a command.
        launchers: as CMake was given them, with slashes.
        windows: CMake writes the program with backslashes there, its arguments as they are; case is the same.
    """

    def plain(some: Sequence[str]) -> list[str]:
        return [word.replace("\\", "/").casefold() if windows else word for word in some]

    at = wrapped(words)
    found = [len(one) for one in launchers if one and plain(words[at : at + len(one)]) == plain(one)]
    return (*words[:at], *words[at + max(found, default=0) :])
