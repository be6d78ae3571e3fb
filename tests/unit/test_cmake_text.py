"""The reader of the CMake language: cases of its manual, and real CMake as the judge of the same text."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from winvllm_build.errors import SourceError
from winvllm_build.intake.cmake_text import Command, Quoting, commands

U, Q, B, P = Quoting.UNQUOTED, Quoting.QUOTED, Quoting.BRACKET, Quoting.PAREN


def only(text: str) -> Command:
    (found,) = commands(text, "f.cmake")
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("set(A b c)", ["A", "b", "c"]),
        ("set(A\n  b # not this: ) c\n  d)", ["A", "b", "d"]),
        ("set(A #[[ not ) this\n nor this ]] b)", ["A", "b"]),
        ("set(A #[==[ ]] ]=] ) ]==] b)", ["A", "b"]),
        ('set(A "b c;d")', ["A", "b c;d"]),
        ('set(A "b \\" c" d)', ["A", 'b \\" c', "d"]),
        ('set(A "two\nlines # and no comment")', ["A", "two\nlines # and no comment"]),
        ('set(A "goes \\\non")', ["A", "goes on"]),
        ('set(A [[b ) "c" ${d} \\e]] f)', ["A", 'b ) "c" ${d} \\e', "f"]),
        ("set(A [=[\nb ]] c]=])", ["A", "b ]] c"]),
        ("set(A b\\ c d\\;e f\\)g)", ["A", "b\\ c", "d\\;e", "f\\)g"]),
        ("set(A ${b}/c;$ENV{D} ${${E}_F})", ["A", "${b}/c;$ENV{D}", "${${E}_F}"]),
        ('set(A -Db="c d" $(MAKE))', ["A", '-Db="c d"', "$(MAKE)"]),
        ("set(A [b] x[1])", ["A", "[b]", "x[1]"]),
        ("if(NOT (A AND (B OR C)))", ["NOT", "(", "A", "AND", "(", "B", "OR", "C", ")", ")"]),
        ("set(A)", ["A"]),
        ("endif ( )", []),
    ],
)  # fmt: skip
def test_arguments(text: str, words: list[str]) -> None:
    assert list(only(text).words) == words


def test_how_an_argument_is_written_is_kept() -> None:
    found = only('IF(A "A" [[A]] (A))')
    assert found.name == "if"
    assert [argument.quoting for argument in found.arguments] == [U, Q, B, P, U, P]


def test_lines_are_counted_through_everything() -> None:
    text = '\ufeff# one\r\n#[[ two\r\nthree ]]\r\nset(A "five\r\nsix"\r\n  seven)\r\ninclude(eight)\r\n'
    first, second = commands(text, "f.cmake")
    assert (first.line, [argument.line for argument in first.arguments]) == (4, [4, 4, 6])
    assert (second.name, second.line) == ("include", 7)
    assert first.words[1] == "five\nsix"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("set(A\n\n", 1, "not closed"),
        ("\nset A", 2, "`(` is expected after set"),
        ('set(A)\nset(B "c)', 2, "not closed"),
        ("set(A)\n)", 2, "name is expected"),
        ("set(A [[b)", 1, "not closed"),
        ("#[[ open", 1, "name is expected"),
        ("set(A \\\n)", 1, "not closed"),
    ],
)
def test_what_is_not_cmake_is_named_by_line(text: str, line: int, what: str) -> None:
    with pytest.raises(SourceError) as caught:
        commands(text, "f.cmake")
    assert caught.value.message.startswith(f"f.cmake, line {line}: ")
    assert what in caught.value.message


JUDGED = r"""
function(show)
endfunction()
show(plain "quoted one" [[bracket ${a} \n]] [==[
second ]] line]==] # a comment )
  #[[ a bracket
comment ) ]] after)
show(a\ b c\;d "e\\f" "g\"h" (i (j)) -Dk="l m")
show("two
lines" "joined \
up" ;x;)
SHOW( [x] y[0] )
"""


def test_real_cmake_reads_the_same(tmp_path: Path) -> None:
    program = shutil.which("cmake")
    assert program is not None
    script = tmp_path / "judged.cmake"
    script.write_text(JUDGED)
    trace = tmp_path / "trace.json"
    subprocess.run(
        [program, "--trace", "--trace-format=json-v1", f"--trace-redirect={trace}", "-P", str(script)],
        check=True, capture_output=True,
    )  # fmt: skip
    rows = [json.loads(row) for row in trace.read_text().splitlines()]
    theirs = [(row["line"], row["args"]) for row in rows if row.get("cmd", "").lower() == "show"]
    ours = [(one.line, list(one.words)) for one in commands(JUDGED, "judged") if one.name == "show"]
    assert len(ours) == 4
    assert ours == theirs
