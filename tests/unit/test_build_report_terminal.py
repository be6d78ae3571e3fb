"""The live view on a real terminal: a pseudo terminal of the system's own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo terminal that Python can open", allow_module_level=True)

import fcntl
import pty
import struct
import termios

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def seen(
    folder: Path,
    checkout: Path,
    *arguments: str,
    columns: int = 100,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Everything that is written to a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "WINVLLM_BUILD_HOME")}
    env = {
        **kept,
        "PYTHONPATH": str(checkout),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        **(variables or {}),
    }
    program = [sys.executable, "-m", "tests.watch_driver", str(folder), *arguments]
    with subprocess.Popen(program, stdout=theirs, stderr=theirs, cwd=checkout, env=env) as child:
        os.close(theirs)
        content = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # Linux says so when the other end is closed
                break
            if not block:
                break
            content += block
        assert child.wait() == 0
    os.close(ours)
    return content.decode("utf-8")


def test_what_runs_is_shown_and_what_stays_is_the_steps(tmp_path: Path, checkout: Path) -> None:
    text = seen(tmp_path, checkout)
    assert COLOUR.search(text)
    assert "memory 2.0 GB of 20.0 GB" in text or "memory 1.0 GB of 20.0 GB" in text
    assert "ETA" in text
    assert text.index("a note") < text.index("ETA") < text.rindex("94 edges ran")
    assert len(list((tmp_path / "runs").glob("*.ndjson"))) == 1


def test_without_colour_on_a_narrow_terminal_no_line_is_too_long(tmp_path: Path, checkout: Path) -> None:
    text = seen(tmp_path, checkout, columns=40, variables={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text)
    shown = [re.sub(r"\x1b\[[0-9;?]*m", "", line) for line in re.split(r"\n|\r|\x1b\[[0-9?]*[A-Zl]", text)]
    live = [line for line in shown if "ETA" in line or "memory" in line or ".cu" in line]
    assert live
    assert max(map(len, live)) < 40


def test_nothing_to_do_is_three_lines(tmp_path: Path, checkout: Path) -> None:
    text = COLOUR.sub("", seen(tmp_path, checkout, "nothing"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines == ["compile  all of it", "a note", "nothing to do (1.0 s)"]


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"CI": "true"}])
def test_terminals_that_cannot_and_runners_get_lines(
    tmp_path: Path, checkout: Path, variables: dict[str, str]
) -> None:
    text = seen(tmp_path, checkout, variables=variables)
    assert "\x1b[1A" not in text
    assert text.count("[94/94]") == 1
