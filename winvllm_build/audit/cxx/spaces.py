"""Where code runs: on the host, on the device, or on both, as far as the head of its function tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from winvllm_build.audit.cxx.branches import PARTS, Part, Sight
from winvllm_build.audit.cxx.text import Logical, Token, TokenKind


class Space(Enum):
    """What compiles the body of a function."""

    HOST = "host"
    DEVICE = "device"
    """A kernel, or `__device__` alone: cl.exe never gets it."""
    BOTH = "both"


TRANSPARENT: Final = frozenset({"namespace", "class", "struct", "union", "enum"})
"""Heads of braces that are no body of a function, if no parenthesis comes first."""


@dataclass(slots=True)
class _Reader:
    """The braces that are open; None for those that hold no code of a function."""

    macro: Callable[[str], Sequence[str]]
    stack: list[Space | None] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    round: int = 0

    def copy(self) -> _Reader:
        return _Reader(self.macro, list(self.stack), list(self.head), self.round)

    @property
    def here(self) -> Space | None:
        return self.stack[-1] if self.stack else None

    def take(self, token: Token) -> None:
        text = token.text
        if token.kind is TokenKind.SIGN:
            if text == "{":
                self.stack.append(self.here or _space(self.head, self.macro))
                self.head, self.round = [], 0
                return
            if text == "}":
                if self.stack:
                    self.stack.pop()
                self.head, self.round = [], 0
                return
            if text == ";" and self.round <= 0:
                self.head = []
                return
            self.round += (text == "(") - (text == ")")
        self.head.append(text)


def spaces(
    lines: Sequence[Logical], sights: Sequence[Sight], macro: Callable[[str], Sequence[str]]
) -> Iterator[tuple[Token, Space | None]]:
    """Every token of code and where it runs; None outside functions.

    Lines that MSVC does not get are left out, and both branches of a conditional begin where it begins.

    Args:
        lines: of one file.
        sights: who gets each.
        macro: the body of a macro; empty for what is none.
    """
    reader = _Reader(macro)
    begun: list[_Reader] = []
    for line, sight in zip(lines, sights, strict=True):
        part = PARTS.get(line.directive)
        if part is Part.IF:
            begun.append(reader.copy())
        elif part is Part.END:
            reader = _ended(reader, begun)
        elif part is not None and begun:
            reader = _next_branch(reader, begun[-1])
        elif not line.directive and sight.compiled:
            for token in line.tokens:
                reader.take(token)
                yield token, reader.here


def _next_branch(reader: _Reader, start: _Reader) -> _Reader:
    """Another branch: if the one before opened or closed a brace, this one does it again."""
    return start.copy() if len(reader.stack) != len(start.stack) else reader


def _ended(reader: _Reader, begun: list[_Reader]) -> _Reader:
    if begun:
        begun.pop()
    return reader


def _space(head: Sequence[str], macro: Callable[[str], Sequence[str]]) -> Space | None:
    """The space that a head gives its braces; None for a namespace, a class or a list of values."""
    if "(" not in head or _begins_type(head):
        return None
    words = [*head, *(inner for word in head if word.isupper() for inner in macro(word))]
    host, device = False, False
    for word in words:
        if word == "__global__":
            return Space.DEVICE
        upper = word.upper()
        named = word.isupper() or word.startswith("__")
        host = host or (named and "HOST" in upper)
        device = device or (named and "DEVICE" in upper)
    if device:
        return Space.BOTH if host else Space.DEVICE
    return Space.HOST


def _begins_type(words: Sequence[str]) -> bool:
    """Whether a class or a namespace is opened: its word comes before any parenthesis, and not in `<>`."""
    depth = 0
    for word in words:
        depth += (word == "<") - word.count(">") * (word in (">", ">>", ">>>"))
        if depth <= 0 and word in TRANSPARENT:
            return True
        if depth <= 0 and word == "(":
            return False
    return False
