"""The CMake language as its manual defines it: a file becomes commands with arguments, each with its line."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.errors import SourceError

BLANK: Final = re.compile(r"\s+|#\[(?P<c>=*)\[.*?\](?P=c)\]|#(?!\[=*\[)[^\n]*", re.DOTALL)
"""White space, bracket comments, line comments."""
NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BRACKET: Final = re.compile(r"\[(?P<b>=*)\[\n?(?P<content>.*?)\](?P=b)\]", re.DOTALL)
QUOTED: Final = re.compile(r'"(?P<content>(?:[^"\\]|\\.)*)"', re.DOTALL)
UNQUOTED: Final = re.compile(
    r"(?:\$\([^\s()#\"\\]*\)|[^\s()#\"\\\[]|\[(?!=*\[)|\\[^\n])"
    r"(?:\$\([^\s()#\"\\]*\)|[^\s()#\"\\]|\\[^\n]|\"(?:[^\"\\]|\\.)*\")*",
    re.DOTALL,
)
"""With the old forms: `-Da="b c"` and `$(NAME)`."""


class Quoting(Enum):
    """How an argument is written; references and escapes count in the first two."""

    UNQUOTED = "unquoted"
    QUOTED = "quoted"
    BRACKET = "bracket"
    PAREN = "paren"
    """One of the parentheses inside a command's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """`text` is what stands in the file, escapes and references untouched, without the quotes."""

    text: str
    quoting: Quoting
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`name(arguments)`; the name in lower case, because case does not count in it."""

    name: str
    arguments: tuple[Argument, ...]
    line: int

    @property
    def words(self) -> tuple[str, ...]:
        """The texts of the arguments as they stand."""
        return tuple(argument.text for argument in self.arguments)


def commands(text: str, where: str) -> tuple[Command, ...]:
    """The commands of one file in their order.

    Args:
        text: the file's content.
        where: its name, for the message.

    Raises:
        SourceError: it is not CMake; file and line are named.
    """
    return tuple(_Scanner(text.replace("\r\n", "\n").removeprefix("\ufeff"), where).commands())


class _Scanner:
    """A position in a text."""

    def __init__(self, text: str, where: str) -> None:
        self._text = text
        self._where = where
        self._at = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]

    def commands(self) -> list[Command]:
        found = []
        while self._skip():
            begun = self._at
            name = self._take(NAME)
            if name is None:
                raise self._fault("a command's name is expected", begun)
            self._skip()
            if not self._starts("("):
                raise self._fault(f"`(` is expected after {name[0]}", begun)
            self._at += 1
            arguments = self._arguments(begun)
            found.append(Command(name=name[0].lower(), arguments=arguments, line=self._line(begun)))
        return found

    def _arguments(self, begun: int) -> tuple[Argument, ...]:
        found: list[Argument] = []
        depth = 1
        while True:
            if not self._skip():
                raise self._fault("the command is not closed", begun)
            line = self._line(self._at)
            if self._text[self._at] in "()":
                depth += 1 if self._starts("(") else -1
                self._at += 1
                if depth == 0:
                    return tuple(found)
                text = self._text[self._at - 1]
                found.append(Argument(text=text, quoting=Quoting.PAREN, line=line))
                continue
            found.append(self._argument(line))

    def _argument(self, line: int) -> Argument:
        begun = self._at
        for pattern, quoting in ((BRACKET, Quoting.BRACKET), (QUOTED, Quoting.QUOTED)):
            taken = self._take(pattern)
            if taken is not None:
                text = taken["content"]
                if quoting is Quoting.QUOTED:
                    text = re.sub(r"(?<!\\)((?:\\\\)*)\\\n", r"\1", text)  # a line that goes on
                return Argument(text=text, quoting=quoting, line=line)
        taken = self._take(UNQUOTED)
        if taken is None:
            raise self._fault("a text is not closed, or a character stands alone", begun)
        return Argument(text=taken[0], quoting=Quoting.UNQUOTED, line=line)

    def _skip(self) -> bool:
        """Past blanks and comments; False at the end of the text."""
        while (blank := BLANK.match(self._text, self._at)) is not None and blank.end() > self._at:
            self._at = blank.end()
        return self._at < len(self._text)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _starts(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _line(self, at: int) -> int:
        return bisect_right(self._newlines, at - 1) + 1

    def _fault(self, what: str, at: int) -> SourceError:
        return SourceError(
            f"{self._where}, line {self._line(at)}: {what}; this is not the CMake language",
            fix="check which source this is; the tag's own files parse",
        )
