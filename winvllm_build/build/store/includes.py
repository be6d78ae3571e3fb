"""Which files `cl /showIncludes` says it read, whatever language it says it in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Final

ENGLISH: Final = "Note: including file:"
PREFIX: Final = re.compile(r"^msvc_deps_prefix = (.*)$", re.MULTILINE)
PATH: Final = re.compile(r"[ :\uff1a]\s*((?:[A-Za-z]:[\\/]|\\\\|[./\\]).*?)\s*$")


def prefix_of(rules: str) -> str:
    """The prefix that CMake found out about the compiler and wrote into `rules.ninja`."""
    found = PREFIX.search(rules)
    return found[1].replace("$ ", " ").replace("$:", ":").replace("$$", "$").strip() if found else ENGLISH


def read(text: bytes, prefix: str, exists: Callable[[str], bool]) -> tuple[str, ...]:
    """The files named behind the prefix, in order, each once.

    The prefix may be written in another code page than the text. Lines that end in the path of a file that
    exists, and begin as the first such line does, count as well then.

    Args:
        text: all that the compiler printed.
        prefix: what stands before each path.
        exists: whether a path is a file.
    """
    decoded = _decoded(text)
    lines = decoded.splitlines()
    plain = [line[len(prefix) :].strip() for line in lines if line.startswith(prefix)]
    if not plain:
        plain = _guessed(lines, exists)
    return tuple(dict.fromkeys(plain))


def _guessed(lines: list[str], exists: Callable[[str], bool]) -> list[str]:
    found: list[str] = []
    start = ""
    for line in lines:
        match = PATH.search(line)
        if match is None or not exists(match[1]):
            continue
        head = line[: match.start(1)].rstrip()
        start = start or head
        if head and head == start:
            found.append(match[1])
    return found


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return text.decode(
            "mbcs" if _is_windows() else "latin-1", "surrogateescape" if not _is_windows() else "replace"
        )


def _is_windows() -> bool:
    return os.name == "nt"
