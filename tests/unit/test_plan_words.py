"""Command lines of both systems become words; what CMake and the tool put around them goes."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile_trees import thorough
from winvllm_build.build.plan import words


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (r'a "b c" d', ["a", "b c", "d"]),
        (r"C:\a\b.exe -I C:\x y", ["C:\\a\\b.exe", "-I", "C:\\x", "y"]),
        (r'a\\\b d"e f"g h', ["a\\\\\\b", "de fg", "h"]),
        (r"a\\\"b c d", ['a\\"b', "c", "d"]),
        (r'a\\\\"b c" d e', ["a\\\\b c", "d", "e"]),
        (r'"a b c""', ['a b c"']),
        (r'"ab\"c" "\\" d', ['ab"c', "\\", "d"]),
        (r'x "" y', ["x", "", "y"]),
        ('-Xcompiler="-Fdmain.pdb,-FS"', ["-Xcompiler=-Fdmain.pdb,-FS"]),
        ("", []),
    ],
    ids=str,
)
def test_the_examples_of_microsoft_and_more(command: str, expected: list[str]) -> None:
    assert words.split_windows(command) == expected


def quoted(word: str) -> str:
    """As `subprocess.list2cmdline` writes one word."""
    out, slashes = [], 0
    for letter in word:
        if letter == "\\":
            slashes += 1
            continue
        out.append("\\" * (slashes * 2 + 1 if letter == '"' else slashes) + letter)
        slashes = 0
    return f'"{"".join(out)}{chr(92) * (slashes * 2)}"'


@thorough(60)
@given(st.lists(st.text(alphabet='ab \\"\t', max_size=8), max_size=6))
def test_quoted_words_come_back_on_windows(wanted: list[str]) -> None:
    assert words.split_windows(" ".join(quoted(word) for word in wanted)) == wanted


@thorough(60)
@given(st.lists(st.text(alphabet="ab \\\"'$&;", max_size=8), max_size=6))
def test_quoted_words_come_back_on_posix(wanted: list[str]) -> None:
    assert list(words.split(shlex.join(wanted), windows=False)) == wanted


def test_the_shell_around_a_link_is_taken_off() -> None:
    assert words.split(": && /usr/bin/g++ -o a.so a.o && :", windows=False) == (
        "/usr/bin/g++", "-o", "a.so", "a.o",
    )  # fmt: skip
    command = r'C:\Windows\system32\cmd.exe /C "cd . && link.exe /out:a.pyd a.obj && cd ."'
    assert words.split(command, windows=True) == ("link.exe", "/out:a.pyd", "a.obj")


def test_launchers_go_the_longest_that_fits() -> None:
    launchers = (("python",), ("python", "-I", "gate.py"))
    command = ("python", "-I", "gate.py", "nvcc", "-c")
    assert words.without_launchers(command, launchers, windows=False) == ("nvcc", "-c")
    assert words.without_launchers(("nvcc", "-c"), launchers, windows=False) == ("nvcc", "-c")


def test_a_launcher_on_windows_goes_however_its_path_is_written() -> None:
    launchers = (("C:/Py/python.exe", "-I", "C:/ws/gate.pyc"),)
    command = (r"c:\py\python.exe", "-I", "C:/ws/gate.pyc", r"C:\cuda\nvcc.exe", "-c")
    assert words.without_launchers(command, launchers, windows=True) == command[3:]
    assert words.without_launchers(command, launchers, windows=False) == command
    assert words.without_launchers(command[:2], launchers, windows=True) == command[:2]
