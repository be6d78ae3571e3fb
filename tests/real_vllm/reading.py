"""C++ and CMake text as lines of tokens and branches, comments left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.real_vllm.folding import AND, NOT, OR, Branch, Kind, Line

CPP = re.compile(
    r"""
      (?P<blank>[ \t\r\f\v]+|\\\r?\n|//[^\n]*|/\*.*?\*/)
    | (?P<line>\n)
    | (?P<word>
        (?:u8|[uUL])?R"(?P<mark>[^()\\\s]{0,16})\(.*?\)(?P=mark)"
      | (?:u8|[uUL])?"(?:\\.|[^"\\\n])*"
      | '(?:\\.|[^'\\\n])+'
      | \.?\d(?:[eEpP][+-]|'?\w|\.)*
      | [A-Za-z_$]\w*
      | ::|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||\#\#
      | .
      )""",
    re.VERBOSE | re.DOTALL,
)
CPP_BRANCHES = {
    "if": Kind.IF,
    "ifdef": Kind.IF,
    "ifndef": Kind.IF,
    "elif": Kind.ELIF,
    "else": Kind.ELSE,
    "endif": Kind.END,
}
CPP_WORDS = {"&&": AND, "||": OR, "!": NOT, "and": AND, "or": OR, "not": NOT}

CMAKE = re.compile(
    r"""
      (?P<blank>\s+|\#\[(?P<fence>=*)\[.*?\](?P=fence)\]|\#[^\n]*)
    | (?P<word>
        "(?:\\.|[^"\\])*"
      | \[(?P<mark>=*)\[.*?\](?P=mark)\]
      | [()]
      | (?:\\.|\$\([^)]*\)|"(?:\\.|[^"\\])*"|[^\s()\#"\\])+
      )""",
    re.VERBOSE | re.DOTALL,
)
CMAKE_BRANCHES = {"if": Kind.IF, "elseif": Kind.ELIF, "else": Kind.ELSE, "endif": Kind.END}
CMAKE_WORDS = {"AND": AND, "OR": OR, "NOT": NOT}


def cpp(text: str) -> Iterator[Branch | Line]:
    """Logical lines; `#if`, `#ifdef` and `#ifndef` become one kind of branch."""
    line: list[str] = []
    for match in CPP.finditer(text + "\n"):
        if match["word"]:
            line.append(match["word"])
        elif match["line"] and line:
            yield _cpp_line(line)
            line = []


def _cpp_line(line: list[str]) -> Branch | Line:
    if line[0] != "#":
        return tuple(line)
    kind = CPP_BRANCHES.get(line[1] if len(line) > 1 else "")
    if kind is None:
        return (*line, "\n")
    if kind in (Kind.ELSE, Kind.END):
        return Branch(kind=kind)
    words = [CPP_WORDS.get(word, word) for word in line[2:]]
    if line[1] == "ifndef":
        words.insert(0, NOT)
    condition = re.sub(r"\bdefined (?:\( (\w+) \)|(\w+))", r"\1\2", " ".join(words)).split(" ")
    return Branch(kind=kind, condition=tuple(condition))


def cmake(text: str) -> Iterator[Branch | Line]:
    """One command a line: its name in small letters and its arguments, parentheses around them left out.

    Raises:
        ValueError: the text is not a list of commands.
    """
    words = iter([m["word"] for m in CMAKE.finditer(text) if m["word"]])
    for name in words:
        if next(words, "") != "(":
            raise ValueError(f"{name} is not a command")
        arguments: list[str] = []
        depth = 1
        for word in words:
            depth += (word == "(") - (word == ")")
            if depth == 0:
                break
            arguments.append(word)
        kind = CMAKE_BRANCHES.get(name.lower())
        if kind is None:
            yield (name.lower(), "(", *arguments, ")")
        elif kind in (Kind.ELSE, Kind.END):
            yield Branch(kind=kind)
        else:
            yield Branch(kind=kind, condition=tuple(CMAKE_WORDS.get(word, word) for word in arguments))
