"""The conditions of `if`, as far as they can be decided without running anything: yes, no, or unknown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from winvllm_build.intake.cmake_text import Argument, Quoting
from winvllm_build.intake.cmake_values import Variables

TRUE: Final = re.compile(r"1|ON|YES|TRUE|Y|-?[1-9]\d*(?:\.\d+)?", re.IGNORECASE)
FALSE: Final = re.compile(r"0|OFF|NO|FALSE|N|IGNORE|NOTFOUND||.*-NOTFOUND", re.IGNORECASE)
UNARY: Final = frozenset(
    {"DEFINED", "EXISTS", "TARGET", "COMMAND", "POLICY", "TEST", "IS_DIRECTORY", "IS_SYMLINK", "IS_ABSOLUTE",
     "IS_READABLE", "IS_WRITABLE", "IS_EXECUTABLE"}
)  # fmt: skip
COMPARISONS: Final = frozenset(
    {"STREQUAL", "EQUAL", "MATCHES", "LESS", "GREATER", "LESS_EQUAL", "GREATER_EQUAL", "STRLESS",
     "STRGREATER", "STRLESS_EQUAL", "STRGREATER_EQUAL", "VERSION_EQUAL", "VERSION_LESS", "VERSION_GREATER",
     "VERSION_LESS_EQUAL", "VERSION_GREATER_EQUAL", "IN_LIST", "PATH_EQUAL", "IS_NEWER_THAN"}
)  # fmt: skip
REFERENCE: Final = re.compile(r"\$\{([A-Za-z0-9_]+)\}|\b([A-Za-z_][A-Za-z0-9_]*)\b")


def decide(arguments: Sequence[Argument], variables: Variables) -> bool | None:
    """Whether a condition holds; None where it depends on the machine, or is not understood."""
    reader = _Reader(arguments, variables)
    answer = reader.either()
    return answer if reader.at_end else None


def words(arguments: Sequence[Argument]) -> str:
    """A condition as a person reads it."""
    text = " ".join(
        f'"{argument.text}"' if argument.quoting is Quoting.QUOTED and not argument.text.startswith("${")
        else re.sub(r"^\$\{(\w+)\}$", r"\1", argument.text)
        for argument in arguments
    )  # fmt: skip
    return text.replace("( ", "(").replace(" )", ")")


def names(arguments: Sequence[Argument]) -> tuple[str, ...]:
    """Every word of a condition that can be a variable."""
    found = (match for argument in arguments for match in REFERENCE.finditer(argument.text))
    return tuple(dict.fromkeys(match[1] or match[2] for match in found))


class _Reader:
    """CMake's precedence: parentheses, tests of one operand, comparisons, NOT, AND, OR."""

    def __init__(self, arguments: Sequence[Argument], variables: Variables) -> None:
        self._arguments = arguments
        self._variables = variables
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._arguments)

    def either(self) -> bool | None:
        return self._chain("OR", self._all, decisive=True)

    def _all(self) -> bool | None:
        return self._chain("AND", self._negated, decisive=False)

    def _chain(self, word: str, part: Callable[[], bool | None], *, decisive: bool) -> bool | None:
        answers = [part()]
        while self._keyword(word):
            answers.append(part())
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive

    def _negated(self) -> bool | None:
        if self._keyword("NOT"):
            answer = self._negated()
            return None if answer is None else not answer
        return self._operand()

    def _operand(self) -> bool | None:
        first = self._next()
        if first is None:
            return None
        if first.quoting is Quoting.PAREN:
            answer = self.either()
            self._next()
            return answer
        if first.quoting is Quoting.UNQUOTED and first.text in UNARY:
            return self._unary(first.text, self._next())
        following = self._arguments[self._at] if not self.at_end else None
        if following is not None and following.text in COMPARISONS:
            self._at += 1
            return self._compare(first, following.text, self._next())
        return self._truth(first)

    def _unary(self, test: str, operand: Argument | None) -> bool | None:
        if operand is None or test != "DEFINED":
            return None
        if operand.text.startswith("ENV{"):
            return False  # a plain environment
        return True if self._variables.text(operand.text) is not None else None

    def _compare(self, left: Argument, how: str, right: Argument | None) -> bool | None:
        if right is None or how != "STREQUAL":
            return None
        one, other = self._value(left), self._value(right)
        return None if one is None or other is None else one == other

    def _value(self, argument: Argument) -> str | None:
        """A side of a comparison: an unquoted name of a variable stands for what it holds."""
        if argument.quoting is Quoting.UNQUOTED and re.fullmatch(r"\w+", argument.text):
            if self._variables.items(argument.text) is not None:
                return self._variables.text(argument.text)
            if argument.text in self._variables.unset_names:
                return argument.text
        found = self._variables.texts(argument)
        return found[0] if len(found) == 1 and "${" not in found[0] else None

    def _truth(self, argument: Argument) -> bool | None:
        """A constant, or a variable that holds anything but a false constant."""
        text = argument.text
        quoted = argument.quoting is not Quoting.UNQUOTED
        if "${" in text:
            found = self._variables.texts(argument)
            if len(found) != 1 or "${" in found[0]:
                return None
            text = found[0]
        if TRUE.fullmatch(text):
            return True
        if FALSE.fullmatch(text) or quoted:
            return False
        if text in self._variables.unset_names:
            return False
        value = self._variables.text(text)
        return None if value is None else FALSE.fullmatch(value) is None

    def _keyword(self, word: str) -> bool:
        here = self._arguments[self._at] if not self.at_end else None
        if here is None or here.quoting is not Quoting.UNQUOTED or here.text != word:
            return False
        self._at += 1
        return True

    def _next(self) -> Argument | None:
        if self.at_end:
            return None
        self._at += 1
        return self._arguments[self._at - 1]
