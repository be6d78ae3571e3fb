"""Conditional text with some conditions decided: what is left of `#if` in C++ and of `if()` in CMake."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

Line = tuple[str, ...]
"""The tokens of one line or command."""
NOT, AND, OR = "not", "and", "or"


class Kind(Enum):
    """The parts of a conditional; the value is what a kept part looks like in the result."""

    IF = "if"
    ELIF = "elif"
    ELSE = "else"
    END = "endif"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One part; `condition` is words with `not`, `and`, `or` and parentheses between them."""

    kind: Kind
    condition: Line = ()


@dataclass(slots=True, kw_only=True)
class _Open:
    """A conditional whose end is not reached: was it taken for sure, does a part of it stay, is this live?"""

    outer: bool
    taken: bool = False
    kept: bool = False
    live: bool = False


def evaluate(condition: Sequence[str], known: Mapping[str, bool]) -> bool | None:
    """The value of a condition; None if `known` (`MSVC`, `LANG STREQUAL "CUDA"`) does not decide it."""
    return _Condition(list(condition), known).value()


@dataclass(slots=True)
class _Condition:
    words: list[str]
    known: Mapping[str, bool]
    at: int = field(default=0)

    def value(self) -> bool | None:
        found = self._either()
        return found if self.at == len(self.words) else None

    def _next_is(self, word: str) -> bool:
        if self.at < len(self.words) and self.words[self.at] == word:
            self.at += 1
            return True
        return False

    def _either(self) -> bool | None:
        found = self._both()
        while self._next_is(OR):
            other = self._both()
            found = True if True in (found, other) else (None if None in (found, other) else False)
        return found

    def _both(self) -> bool | None:
        found = self._term()
        while self._next_is(AND):
            other = self._term()
            found = False if False in (found, other) else (None if None in (found, other) else True)
        return found

    def _term(self) -> bool | None:
        if self._next_is(NOT):
            inner = self._term()
            return None if inner is None else not inner
        if self._next_is("("):
            inner = self._either()
            return inner if self._next_is(")") else None
        atom: list[str] = []
        depth = 0
        while self.at < len(self.words):
            word = self.words[self.at]
            if depth == 0 and word in (AND, OR, ")"):
                break
            depth += (word == "(") - (word == ")")
            atom.append(word)
            self.at += 1
        return self.known.get(" ".join(atom))


def fold(parts: Iterable[Branch | Line], known: Mapping[str, bool]) -> list[Line]:
    """The text that is left; undecided conditionals stay, with both branches.

    Raises:
        ValueError: a conditional is not closed, or closed without being open.
    """
    result: list[Line] = []
    stack = [_Open(outer=True, live=True)]
    for part in parts:
        if isinstance(part, Branch):
            kept = _step(part, stack, known)
            if kept is not None:
                result.append(kept)
        elif stack[-1].live:
            result.append(part)
    if len(stack) != 1:
        raise ValueError("a conditional is not closed")
    return result


def _step(part: Branch, stack: list[_Open], known: Mapping[str, bool]) -> Line | None:
    """Go into or out of a branch; what stays of it in the text."""
    if part.kind is Kind.IF:
        stack.append(_Open(outer=stack[-1].live))
    if len(stack) == 1:
        raise ValueError("a conditional is closed that is not open")
    frame = stack[-1]
    if part.kind is Kind.END:
        stack.pop()
        return (Kind.END.value,) if frame.outer and frame.kept else None
    if not frame.outer or frame.taken:
        frame.live = False
        return None
    value = True if part.kind is Kind.ELSE else evaluate(part.condition, known)
    frame.live = value is not False
    frame.taken = value is True
    if value is None:
        kind = Kind.ELIF if frame.kept else Kind.IF
        frame.kept = True
        return (kind.value, *part.condition)
    return (Kind.ELSE.value,) if value and frame.kept else None


def differences(before: Sequence[Line], after: Sequence[Line]) -> list[str]:
    """What changed, as `tokens -> tokens`, with `N x` in front where it changed so N times; sorted.

    Line breaks are of no account.
    """
    if [t for line in before for t in line] == [t for line in after for t in line]:
        return []
    found: Counter[str] = Counter()
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            old = [token for line in before[i1:i2] for token in line]
            new = [token for line in after[j1:j2] for token in line]
            found.update(_changed_tokens(old, new))
    return sorted(f"{count} x {change}" if count > 1 else change for change, count in found.items())


def _changed_tokens(old: list[str], new: list[str]) -> list[str]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [
        f"{' '.join(old[i1:i2])} -> {' '.join(new[j1:j2])}"
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]
