"""The lexer: what a line is, what a token is, and that nothing ends it."""

from __future__ import annotations

import pytest

from winvllm_build.audit.cxx.text import TokenKind, logical_lines


def words(text: str) -> list[list[str]]:
    return [[token.text for token in line.tokens] for line in logical_lines(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("int a; // b\nint c;", [["int", "a", ";"], ["int", "c", ";"]]),
        ("int /* x\n y */ a;", [["int", "a", ";"]]),
        ("// a \\\n still a comment\nint b;", [["int", "b", ";"]]),
        ("int a \\\n = 1;", [["int", "a", "=", "1", ";"]]),
        ("int a \\\r\n = 1;", [["int", "a", "=", "1", ";"]]),
        ('x = "a // b" "\\"";', [["x", "=", '"a // b"', '"\\""', ";"]]),
        ('auto s = R"x(\n#ifdef A\n" )" )x";', [["auto", "s", "=", 'R"x(\n#ifdef A\n" )" )x"', ";"]]),
        ("1'000 0x1.8p-3f 1e+5 .5", [["1'000", "0x1.8p-3f", "1e+5", ".5"]]),
        ("u8\"a\" L'b' u8x", [['u8"a"', "L'b'", "u8x"]]),
        ("a<<<b, c>>>(d) && e->f", [["a", "<<<", "b", ",", "c", ">>>", "(", "d", ")", "&&", "e", "->", "f"]]),
        ("a ## __VA_ARGS__ ... ::b", [["a", "##", "__VA_ARGS__", "...", "::", "b"]]),
    ],
)
def test_tokens(text: str, expected: list[list[str]]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "text", ['"abc\nint a;', "/* abc", 'R"x(abc', "'a\nint", "#", '# 12 "f"', "\\", "\x00é"]
)
def test_what_is_not_closed_ends_no_reading(text: str) -> None:
    assert sum(len(line.tokens) for line in logical_lines(text + "\nlast")) > 0 or text == "/* abc"


def test_directives() -> None:
    lines = logical_lines("/* a\n */ # define F(x) \\\n  x##1\na # b\n#\n#if A // c\n#error don't\n")
    assert [line.directive for line in lines] == ["define", "", "#", "if", "error"]
    assert lines[0].words == ("F", "(", "x", ")", "x", "##", "1")
    assert lines[3].words == ("A",)
    assert lines[1].words == ("a", "#", "b")


def test_line_numbers_count_what_is_left_out() -> None:
    lines = logical_lines('/*\n\n*/ a \\\n b\nR"(\n\n)" c\n\n// d\\\n\nlast')
    assert [(token.text, token.line) for line in lines for token in line.tokens] == [
        ("a", 3), ("b", 4), ('R"(\n\n)"', 5), ("c", 7), ("last", 11),
    ]  # fmt: skip


def test_kinds() -> None:
    kinds = [token.kind for line in logical_lines("a 1 \"s\" 'c' +") for token in line.tokens]
    assert kinds == [TokenKind.WORD, TokenKind.NUMBER, TokenKind.STRING, TokenKind.CHAR, TokenKind.SIGN]
