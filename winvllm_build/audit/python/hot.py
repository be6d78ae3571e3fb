"""Which lines of a file are worth a look: a rule needs one of its words there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from winvllm_build.audit.python import (
    rule_files,
    rule_gpu,
    rule_loop,
    rule_names,
    rule_paths,
    rule_process,
    rule_text,
)
from winvllm_build.audit.python.module import Module
from winvllm_build.audit.python.posix import modules, names

ROOMS: Final = (rule_names, rule_process, rule_loop, rule_files, rule_paths, rule_text, rule_gpu)
EVERYWHERE: Final = re.compile(
    r"^[ \t]*(?:from (?:subprocess|asyncio) import (?:run|call)\b"
    r"|import (?:os|signal|socket|subprocess|tempfile) as )",
    re.MULTILINE,
)
"""Imports after which the words do not stand where the names are used."""


@cache
def _words() -> tuple[str, ...]:
    return tuple(sorted({word for room in ROOMS for word in room.WORDS}))


NAME: Final = re.compile(r"\w+")


def hot_lines(module: Module) -> frozenset[int]:
    """The numbers of the lines, from 1, that have a word of a rule."""
    text = module.text
    lines = set(_import_lines(module))
    line, before = 1, 0
    for place in sorted(set(_places(module))):
        line += text.count("\n", before, place)
        before = place
        lines.add(line)
    if lines and EVERYWHERE.search(text):
        return frozenset(range(1, text.count("\n") + 2))
    return frozenset(lines)


def _import_lines(module: Module) -> Iterator[int]:
    lacking = modules() | set(names())
    for node, _ in module.imports:
        found = (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
        )
        if any(name in lacking or name.partition(".")[0] in lacking for name in found):
            yield node.lineno


def _places(module: Module) -> Iterator[int]:
    text = module.text
    for word in _words():
        yield from _found(word, text)
    for owner in set(module.aliases.values()) & set(names()):
        known = names()[owner]
        for place in _found(f"{owner}.", text):
            match = NAME.match(text, place + len(owner) + 1)
            if match is not None and match[0] in known:
                yield place
    if not text.isascii():
        yield from _unusual(text)


def _found(word: str, text: str) -> Iterator[int]:
    place = text.find(word)
    while place >= 0:
        yield place
        place = text.find(word, place + 1)


def _unusual(text: str) -> Iterator[int]:
    """Where a character stands that the Western code page lacks."""
    try:
        text.encode(rule_text.CODE_PAGE)
    except UnicodeEncodeError:
        yield from (place for place, letter in enumerate(text) if not letter.isascii())
