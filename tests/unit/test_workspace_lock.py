"""The lock of a folder: who holds it is told, and a killed run holds it no longer than its children begin."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from winvllm_build import workspace
from winvllm_build.errors import BusyError
from winvllm_build.workspace import locked

HOLD = """\
import contextlib, os, signal, subprocess, sys, time
from pathlib import Path
from winvllm_build.workspace import locked
with locked(Path(sys.argv[1]), "it"):
    if sys.argv[2] == "killed":
        for number in range(3, 64):  # as they are in a child that has not begun its program yet
            with contextlib.suppress(OSError):
                os.set_inheritable(number, True)
        subprocess.Popen(["sleep", sys.argv[3]], close_fds=False, stdout=subprocess.DEVNULL)
    print("held", flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
"""


def holder(file: Path, what: str, seconds: float = 0.0) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLD, str(file), what, str(seconds)]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    return started


def test_a_run_that_lives_is_told_at_once(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", "alive") as other:
        begun = time.monotonic()
        with pytest.raises(BusyError, match=rf"it is in use by another run \(pid {other.pid} since"):
            locked(tmp_path / "lock", "it").__enter__()
        assert time.monotonic() - begun < workspace.LET_GO
        other.kill()


@pytest.mark.skipif(os.name == "nt", reason="a lock does not outlive its process there")
def test_a_killed_run_whose_child_was_just_starting_is_waited_for(tmp_path: Path) -> None:
    with holder(tmp_path / "lock", "killed", 1.0) as other:
        assert other.wait() == -signal.SIGKILL
        with locked(tmp_path / "lock", "it"):
            assert f"pid {os.getpid()} " in (tmp_path / "lock.owner").read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="a lock does not outlive its process there")
def test_what_a_killed_run_left_running_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "LET_GO", 0.2)
    with holder(tmp_path / "lock", "killed", 3.0) as other:
        other.wait()
        with pytest.raises(BusyError, match="in use by another run"):
            locked(tmp_path / "lock", "it").__enter__()
