"""What ends programs: Ctrl-C while one says nothing, and orphans of one that is gone."""

from __future__ import annotations

import _thread
import math
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from winvllm_build import process, process_trees

SILENT = (
    "import pathlib, sys, time; print('on', flush=True); time.sleep(30); pathlib.Path(sys.argv[1]).touch()"
)
LEAVES = (
    "import subprocess, sys, time\n"
    "left = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
    "print(subprocess.Popen(left, start_new_session=True).pid, flush=True)\ntime.sleep(30)"
)


def interrupt(_: str) -> None:
    """Python's flag alone, as Ctrl-C on Windows: no system call ends."""

    def later() -> None:
        time.sleep(0.3)
        _thread.interrupt_main()

    threading.Thread(target=later, daemon=True).start()


def test_ctrl_c_is_heard_while_a_program_prints_nothing(tmp_path: Path) -> None:
    end = tmp_path / "end"
    started: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        process.stream([sys.executable, "-c", SILENT, end], on_line=interrupt, on_start=started.append)
    assert not end.exists()
    assert not psutil.pid_exists(started[0])


def test_what_a_program_left_with_its_pipe_holds_nobody_up() -> None:
    """A server in a session of its own keeps the other end open."""
    left: list[psutil.Process] = []

    def note(line: str) -> None:
        left.append(psutil.Process(int(line)))
        interrupt(line)

    with pytest.raises(KeyboardInterrupt):
        process.stream([sys.executable, "-c", LEAVES], on_line=note)
    assert left[0].is_running()  # else it was waited for
    left[0].kill()


def test_every_line_arrives_in_order() -> None:
    lines: list[str] = []
    code = process.stream(
        [sys.executable, "-c", r"print('\n'.join(map(str, range(50000)))); print('\udcff', 'last', end='')"],
        on_line=lines.append, env={"PYTHONIOENCODING": "utf-8:surrogateescape"},
    )  # fmt: skip
    assert code == 0
    assert lines == [*map(str, range(50000)), "\ufffd last"]


def test_an_error_of_the_reader_ends_the_program(tmp_path: Path) -> None:
    def refuse(line: str) -> None:
        raise ValueError(line)

    started: list[int] = []
    with pytest.raises(ValueError, match="on"):
        process.stream(
            [sys.executable, "-c", SILENT, tmp_path / "end"], on_line=refuse, on_start=started.append
        )
    assert not psutil.pid_exists(started[0])
    assert not (tmp_path / "end").exists()


@pytest.mark.parametrize(("reused_at", "found"), [(math.inf, (11, 12)), (150.0, (11,)), (90.0, ())])
def test_orphans_are_what_the_process_that_is_gone_has_started(
    monkeypatch: pytest.MonkeyPatch, reused_at: float, found: tuple[int, ...]
) -> None:
    """Number 10 began at 100; it is gone, or a later one has its number."""
    rows = [
        (11, 10, 120.0),
        (12, 10, 160.0),
        (13, 7, 130.0),
        (14, 10, 50.0),
        (15, None, 130.0),
        (16, 10, None),
    ]
    rows += [(10, 1, reused_at)] if reused_at < math.inf else []

    def processes(names: list[str]) -> Iterator[SimpleNamespace]:
        return (SimpleNamespace(info=dict(zip(names, row, strict=True))) for row in rows)

    monkeypatch.setattr(psutil, "process_iter", processes)
    assert process_trees.orphans(10, created=100.0) == found
