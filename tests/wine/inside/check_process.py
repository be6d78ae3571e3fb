"""Programs on Windows: words as they are, streams, ends of whole trees."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.wine.inside.programs import left_over, program
from winvllm_build import process
from winvllm_build.errors import ToolchainError

WORDS = (
    "a b",
    'say "hi"',
    "back\\slash\\",
    "%PATH%",
    "a&b|c>d<e^f",
    "$(x)",
    "100%",
    "\u5efa\u00fc",
    "",
    "x;y",
    "!Y!",
)
SLEEPER = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print('on', flush=True)\ntime.sleep(60)"
)


def test_words_arrive_as_they_are(tmp_path: Path) -> None:
    echo = program(
        tmp_path / "a folder & more" / "echo.exe",
        "sys.stdout.buffer.write('\\0'.join(sys.argv[1:]).encode())",
    )
    assert tuple(process.capture([echo, *WORDS]).text.split("\0")) == WORDS


def test_lines_end_as_windows_ends_them() -> None:
    lines: list[str] = []
    code = process.stream(
        [sys.executable, "-c", "print('a'); print('b'); raise SystemExit(7)"], on_line=lines.append
    )
    assert (lines, code) == (["a", "b"], 7)


def test_a_program_that_is_late_is_ended_with_what_it_started() -> None:
    before = {one.pid for one in psutil.process_iter()}
    with pytest.raises(ToolchainError, match="did not finish within 3 s"):
        process.capture([sys.executable, "-c", SLEEPER], timeout=3)
    assert left_over(before, Path(sys.executable).name) == []


def test_a_tree_is_ended_and_a_reused_number_is_left_alone(tmp_path: Path) -> None:
    with process.background([sys.executable, "-c", SLEEPER], output=tmp_path / "out") as running:
        while (tmp_path / "out").stat().st_size == 0:
            time.sleep(0.1)
        family = psutil.Process(running.pid).children(recursive=True)
        assert family
        created = psutil.Process(running.pid).create_time()
        assert not process.end_tree(running.pid, created=created - 100)
        assert running.code() is None
        assert process.end_tree(running.pid, created=created)
    assert not [one for one in family if one.is_running()]


def test_what_cannot_be_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="cannot start"):
        process.capture([tmp_path / "nothing.exe"])


def test_which_finds_programs_as_windows_does(tmp_path: Path) -> None:
    made = program(tmp_path / "bin" / "tool.exe", "")
    assert process.which("tool", path=str(made.parent)) == made
    assert process.which("TOOL.EXE", path=str(made.parent)) is not None
    assert process.which("tool", path=str(tmp_path)) is None
