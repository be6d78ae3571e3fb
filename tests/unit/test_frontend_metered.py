"""Programs are ended when they take too long or the run is interrupted, and what they cost is told."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from winvllm_build.audit.frontend.metered import run

FOREVER = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
BUSY = "data = bytearray(80_000_000)\nfor i in range(8_000_000): pass\nprint('done')\nraise SystemExit(2)"


def test_the_code_the_lines_and_the_cost_of_a_program(tmp_path: Path) -> None:
    ran = run([sys.executable, "-c", BUSY], env=os.environ, cwd=tmp_path, timeout=120.0)
    assert (ran.code, ran.lines, ran.late) == (2, ("done",), False)
    assert ran.cpu > 0
    assert ran.peak > 80_000_000


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    ran = run([sys.executable, "-c", FOREVER], env=os.environ, cwd=tmp_path, timeout=1.0)
    assert ran.late
    assert ran.lines == ("begun",)


def test_one_that_runs_while_the_run_is_interrupted_is_ended(tmp_path: Path) -> None:
    stop = threading.Event()
    timer = threading.Timer(1.0, stop.set)
    timer.start()
    ran = run([sys.executable, "-c", FOREVER], env=os.environ, cwd=tmp_path, timeout=600.0, stop=stop)
    timer.join()
    assert ran.late
