"""A build behind the gate on Windows: the real ninja.exe, the real launcher with its job object."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.gate_bench import MIB, Bench, Known
from tests.wine.inside.programs import left_over
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.events import EdgeStarted

WIDE = "\u00e4" * 40
SLEEPS = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-I', '-S', '-c', 'import time; time.sleep(90)'])\ntime.sleep(90)"
)


def test_every_edge_runs_once_and_is_measured(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={"one": "x = bytearray(60 << 20)", "two": "print('a warning')"})
    ran = bench.run(bench.gate(slots=2))
    assert (ran.code, ran.finished, len(ran.failed)) == (0, 2, 0)
    records = {record.edge.output: record for record in bench.heard.records}
    assert {record.outcome for record in records.values()} == {Outcome.COMPILED}
    assert records["one.o"].size == len("whole")
    assert records["one.o"].asked <= records["one.o"].started <= records["one.o"].ended
    assert bench.run(bench.gate(slots=2)).finished == 0


def test_memory_limits_what_runs_at_once(tmp_path: Path) -> None:
    names = [f"part{number}" for number in range(4)]
    costs = Known({f"{name}.o": (1, 400) for name in names})
    bench = Bench(folder=tmp_path, sources=dict.fromkeys(names, "import time; time.sleep(0.4)"), costs=costs)
    assert bench.run(bench.gate(slots=4, most=1000)).finished == 4
    assert bench.heard.most(lambda record: record.predicted_memory) <= 1000 * MIB


def test_an_error_arrives_with_all_that_was_printed(tmp_path: Path) -> None:
    text = (
        "sys.stdout.reconfigure(encoding='utf-8')\nfor n in range(9000): print('line', n, '\\u00e4' * 40)\n"
        "sys.stdout.flush()\nprint('to stderr', file=sys.stderr)\nsys.exit(3)"
    )
    bench = Bench(folder=tmp_path, sources={"loud": text})
    (failed,) = bench.run(bench.gate(slots=1)).failed
    lines = failed.log.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("line")] == [f"line {n} {WIDE}" for n in range(9000)]
    assert "to stderr" in lines


def test_ctrl_c_ends_compilers_and_what_they_started(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={"slow": SLEEPS})
    before = {one.pid for one in psutil.process_iter()}

    def interrupt() -> None:
        while not any(isinstance(event, EdgeStarted) for event in bench.heard.events):
            time.sleep(0.05)
        time.sleep(2)
        import _thread  # noqa: PLC0415 - what the console's Ctrl-C does

        _thread.interrupt_main()

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        bench.run(bench.gate(slots=1))
    assert left_over(before, "ninja.exe", Path(sys.executable).name) == []
    made = bench.build / "slow.o"
    assert not made.exists() or made.read_text() == "half"
