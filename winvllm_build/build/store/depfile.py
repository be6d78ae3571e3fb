"""Dependency files as GCC, Clang and nvcc write them and ninja reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

PLAIN: Final = re.compile(r"[\w/.+-]+", re.ASCII)


def read(text: str) -> tuple[str, ...]:
    """What the rules of a dependency file depend on, in order, each once; phony rules of `-MP` add nothing.

    Raises:
        ValueError: it is no dependency file, or ends in the middle of a rule.
    """
    found: dict[str, None] = {}
    targets = True
    if not text.endswith("\n"):
        raise ValueError("a dependency file that ends in the middle of a line")
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        targets = True
        for word in _words(line):
            if targets:
                targets = not word.endswith(":")
                continue
            found.setdefault(_plain(word))
        if targets and line.strip():
            raise ValueError(f"a dependency file without a colon: {line[:80]}")
    return tuple(found)


def written(target: str, dependencies: Sequence[str]) -> str:
    """The dependency file of one output."""
    names = [
        f"{_escaped(target)}:",
        *(name if PLAIN.fullmatch(name) else _escaped(name) for name in dependencies),
    ]
    return " \\\n  ".join(names) + "\n"


def _words(line: str) -> list[str]:
    """Split at blanks that an even number of backslashes (or none) precedes."""
    if "\\" not in line:
        return line.split()
    words: list[str] = []
    word = ""
    for part in re.findall(r"\\+[ \t]?|[ \t]+|[^\s\\]+", line):
        if part[0] == "\\":
            slashes = len(part.rstrip(" \t"))
            if part[-1] == " " and slashes % 2:
                word += part
            elif part[-1] in " \t":
                words.append(word + part.rstrip(" \t"))
                word = ""
            else:
                word += part
        elif part[0] in " \t":
            words.append(word)
            word = ""
        else:
            word += part
    return [word for word in (*words, word) if word]


def _plain(word: str) -> str:
    if "\\" not in word and "$" not in word:
        return word
    text = re.sub(r"(\\+) ", lambda found: "\\" * (len(found[1]) // 2) + " ", word)
    return text.replace("\\#", "#").replace("$$", "$")


def _escaped(name: str) -> str:
    text = re.sub(r"(\\*) ", lambda found: found[1] * 2 + "\\ ", name)
    return text.replace("#", "\\#").replace("$", "$$")
