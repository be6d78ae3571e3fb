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
NAME: Final = re.compile(r"\w+")
BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
RENAMED: Final = frozenset(["os", "signal", "socket", "subprocess", "tempfile"])
SHORT: Final = {"subprocess": {"run", "call"}, "asyncio": {"run"}}
"""Imports after which a rule's words do not stand where the names are used."""


@cache
def _words() -> tuple[str, ...]:
    return tuple(sorted({word for room in ROOMS for word in room.WORDS}))


def hot_lines(module: Module) -> frozenset[int]:
    """The numbers of the lines, from 1, that have a word of a rule."""
    text = module.text
    lines = set(_import_lines(module))
    line, before = 1, 0
    for place in sorted(set(_places(module))):
        line += text.count("\n", before, place)
        before = place
        lines.add(line)
    if _is_hidden(module):
        return frozenset(range(1, text.count("\n") + 2))
    return frozenset(lines)


def _is_hidden(module: Module) -> bool:
    for node, _ in module.imports:
        if isinstance(node, ast.ImportFrom):
            if SHORT.get(node.module or "", set()) & {name.name for name in node.names}:
                return True
        elif any(name.asname and name.name in RENAMED for name in node.names):
            return True
    return False


def _import_lines(module: Module) -> Iterator[int]:
    """Imports of what Windows lacks, and from what it lacks a part of."""
    for node, _ in module.imports:
        if isinstance(node, ast.ImportFrom):
            found = {node.module or ""} & (modules() | set(names()))
        else:
            found = {
                part for name in node.names for part in (name.name, name.name.partition(".")[0])
            } & modules()
        if found:
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
        yield from (match.start() for match in BEYOND_ASCII.finditer(text))
