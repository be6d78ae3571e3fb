"""C++ text as logical lines of tokens: comments and line continuations left out, macro bodies included."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple

TOKEN: Final = re.compile(
    r"""
      (?P<blank>[ \t\r\f\v]+|\\\r?\n)
    | (?P<newline>\n)
    | (?P<comment>//(?:[^\n\\]|\\.?)*|/\*.*?(?:\*/|\Z))
    | (?P<string>(?=["uULR])(?:u8|[uUL])?(?:R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"))
    | (?P<char>(?=['uUL])(?:u8|[uUL])?'(?:\\.|[^'\\\n])+')
    | (?P<word>[A-Za-z_$][\w$]*)
    | (?P<number>\.?\d(?:[eEpP][+-]|'?\w|\.)*)
    | (?P<sign><<<|>>>|<<=|>>=|\.\.\.|->\*|::|->|\+\+|--|<<|>>|[-+*/%&|^<>=!]=|&&|\|\||\#\#|.)""",
    re.VERBOSE | re.DOTALL,
)


class TokenKind(Enum):
    """What a token is; the value is its group in `TOKEN`."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    CHAR = "char"
    SIGN = "sign"


KINDS: Final = {kind.value: kind for kind in TokenKind}


class Token(NamedTuple):
    """One token; `line` counts from 1 and is where it begins."""

    kind: TokenKind
    text: str
    line: int


class Logical(NamedTuple):
    """One line after continuations are joined.

    Attributes:
        tokens: all of it; those of a directive begin with `#` and its name.
        directive: `if`, `define`, ...; empty for code.
    """

    tokens: tuple[Token, ...]
    directive: str = ""

    @property
    def line(self) -> int:
        return self.tokens[0].line

    @property
    def words(self) -> tuple[str, ...]:
        """The texts; of a directive those behind its name."""
        return tuple(token.text for token in (self.tokens[2:] if self.directive else self.tokens))


def logical_lines(text: str) -> list[Logical]:
    """The lines that hold anything. What is not closed, a string or a comment, ends no reading."""
    lines: list[Logical] = []
    tokens: list[Token] = []
    number = 1
    for match in TOKEN.finditer(text):
        group = match.lastgroup or ""
        if group == "newline":
            if tokens:
                lines.append(_logical(tokens))
                tokens = []
            number += 1
        elif group == "blank" or group == "comment":  # noqa: PLR1714 - the hot loop
            number += match[0].count("\n")
        else:
            word = match[0]
            tokens.append(Token(KINDS[group], word, number))
            if group == "string":
                number += word.count("\n")
    if tokens:
        lines.append(_logical(tokens))
    return lines


def _logical(tokens: list[Token]) -> Logical:
    if tokens[0].text != "#":
        return Logical(tuple(tokens))
    named = len(tokens) > 1 and tokens[1].kind is TokenKind.WORD
    return Logical(tuple(tokens), tokens[1].text if named else "#")
