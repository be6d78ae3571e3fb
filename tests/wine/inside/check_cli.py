"""The command line on Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

START = "import sys; from winvllm_build.cli.main import main; sys.argv[0] = 'winvllm-build'; main()"


def tool(*words: str, cwd: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", START, *words],
        cwd=cwd,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    text = (done.stdout + done.stderr).decode("utf-8", "replace").replace("\r\n", "\n")
    assert "Traceback" not in text
    assert "internal error" not in text
    return done.returncode, text


@pytest.mark.parametrize(
    "words",
    [("--help",), ("build", "--help"), ("profile", "list"), ("profile", "show", "sm86"), ("profile", "path")],
)
def test_what_only_reads_runs(words: tuple[str, ...], tmp_path: Path) -> None:
    assert tool(*words, cwd=tmp_path)[0] == 0


def test_a_build_without_git_is_refused_with_the_command_that_installs_it(tmp_path: Path) -> None:
    code, text = tool("build", "--profile", "quickstart", cwd=tmp_path)
    assert code != 0
    assert "git is not installed" in text
    assert "fix:" in text


def test_the_doctor_answers(tmp_path: Path) -> None:
    assert tool("doctor", cwd=tmp_path)[0] < 128
