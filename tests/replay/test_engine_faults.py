"""Whatever a compiler does wrong, the engine ends in one clear result and the next run makes it good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks.replay import compiler, driver, gated
from benchmarks.replay.compiler import Fault, Scale, Told, Toolkit, Victim
from benchmarks.replay.driver import Place
from benchmarks.replay.gated import Heard, Machine
from benchmarks.replay.project import Project
from benchmarks.replay.recorded import Recorded
from winvllm_build.build import ninja
from winvllm_build.build.engine.record import Outcome

pytestmark = pytest.mark.skipif(not compiler.available(), reason="the replay compiler needs cc and Linux")

GB = 1_000_000_000
SCALE = Scale(time=0.01, memory=0.01, size=0.01)
SOURCES = ("one.cu", "two.cu", "three.cu", "four.cpp")
EDGES = (
    *(
        Recorded(output=f"CMakeFiles/_C.dir/csrc/{name}.o", seconds=10.0 + at, memory=GB, size=200_000)
        for at, name in enumerate(SOURCES)
    ),
    Recorded(output="_C.abi3.so", seconds=1.0, memory=GB // 10, size=400_000),
)
BAD = EDGES[1].output


class Bench:
    """A small build, its compiler told what to do wrong."""

    def __init__(
        self, root: Path, faults: Sequence[Told], *, cap: int = 0, victim: Victim = Victim.LARGEST
    ) -> None:
        self.place = Place(root=root)
        self.built: Project = driver.lay(self.place, EDGES, SCALE)
        self.toolkit: Toolkit = self.place.toolkit(SCALE)
        self.heard = Heard()
        self.toolkit.configure(EDGES, faults=faults, cap=cap, victim=victim)

    def run(self, machine: Machine | None = None) -> ninja.RunResult:
        self.heard = Heard()
        return gated.run(
            self.built,
            gated.perfect(EDGES, SCALE),
            gated.terms(machine or Machine(cores=2, cap=100 * GB), SCALE),
            watch=self.heard,
            workspace=self.place.workspace,
        )

    def well(self) -> None:
        """Nothing goes wrong any more."""
        self.toolkit.configure(EDGES)

    def ran(self) -> list[str]:
        return [h.output for h in self.toolkit.happenings() if h.event == "begin"]

    def outcomes(self, output: str) -> list[Outcome]:
        return [record.outcome for record in self.heard.records if record.edge.output == output]


def told(fault: Fault, *, times: int = 0, value: float = 0.0) -> list[Told]:
    return [Told(output=BAD, fault=fault, times=times, value=value)]


MEMORY = (Fault.KILLED, Fault.KILLED_WHOLE, Fault.C1060, Fault.ILLEGAL, Fault.BAD_ALLOC, Fault.HALF)


@pytest.mark.parametrize("fault", MEMORY)
def test_what_ran_out_of_memory_runs_again_alone_and_the_build_goes_on(fault: Fault, tmp_path: Path) -> None:
    bench = Bench(tmp_path, told(fault, times=1))
    ran = bench.run()
    assert (ran.code, ran.failed) == (0, ())
    assert bench.outcomes(BAD) == [Outcome.RETRIED, Outcome.COMPILED]
    assert not bench.built.missing()
    alone = next(r for r in bench.heard.records if r.edge.output == BAD and r.outcome is Outcome.COMPILED)
    others = [r for r in bench.heard.records if r.edge.output != BAD]
    assert all(r.ended <= alone.started or r.started >= alone.ended for r in others)


def test_what_never_fits_is_explained_after_three_tries(tmp_path: Path) -> None:
    bench = Bench(tmp_path, told(Fault.KILLED))
    ran = bench.run()
    assert bench.ran().count(BAD) == 3
    (failed,) = ran.failed
    assert failed.outputs == (BAD,)
    assert "out of memory" in failed.log.read_text()
    assert bench.built.missing() == [BAD, "_C.abi3.so"]


@pytest.mark.parametrize(("fault", "said"), [(Fault.C1061, "C1061"), (Fault.ERROR, "identifier")])
def test_an_error_of_the_source_fails_once_and_all_else_is_built(
    fault: Fault, said: str, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, told(fault))
    ran = bench.run()
    assert bench.ran().count(BAD) == 1
    assert said in ran.failed[0].first_error
    bench.well()
    bench.toolkit.forget()
    assert bench.run().code == 0
    assert sorted(bench.ran()) == sorted([BAD, "_C.abi3.so"])


def test_a_link_that_was_killed_runs_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [Told(output="_C.abi3.so", fault=Fault.KILLED, times=1)])
    assert bench.run().code == 0
    assert bench.outcomes("_C.abi3.so") == [Outcome.RETRIED, Outcome.COMPILED]


def test_half_an_object_is_never_taken_for_a_whole_one(tmp_path: Path) -> None:
    whole = Bench(tmp_path / "whole", [])
    whole.run()
    bench = Bench(tmp_path / "torn", told(Fault.HALF))
    assert bench.run().failed
    bench.well()
    assert bench.run().code == 0
    assert bench.built.contents() == whole.built.contents()


def test_megabytes_of_warnings_pass_and_are_told_again_from_the_store(tmp_path: Path) -> None:
    bench = Bench(tmp_path, told(Fault.FLOOD, value=3))
    assert bench.run().code == 0
    (bench.built.build / BAD).unlink()
    bench.toolkit.forget()
    assert bench.run().code == 0
    assert bench.outcomes(BAD) == [Outcome.REUSED]
    assert bench.ran() == []


def test_success_without_an_object_is_a_failure_of_that_edge(tmp_path: Path) -> None:
    bench = Bench(tmp_path, told(Fault.NOTHING))
    ran = bench.run()
    assert ran.code != 0
    assert [failed.outputs for failed in ran.failed] == [(BAD,)]
    assert f"wrote no {BAD}" in ran.failed[0].log.read_text()
    bench.well()
    assert bench.run().code == 0
    assert not bench.built.missing()


@pytest.mark.parametrize("victim", Victim)
def test_the_cap_is_kept_and_nothing_is_killed_where_costs_are_known(victim: Victim, tmp_path: Path) -> None:
    bench = Bench(tmp_path, [], cap=2 * GB + GB // 4, victim=victim)
    ran = bench.run(Machine(cores=4, cap=2 * GB + GB // 4))
    assert ran.code == 0
    assert bench.toolkit.kills() == 0


def test_an_edge_that_grew_is_killed_once_and_then_runs_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, told(Fault.GROW, value=2.0), cap=2 * GB + GB // 4)
    ran = bench.run(Machine(cores=4, cap=2 * GB + GB // 4))
    assert ran.code == 0
    assert 1 <= bench.toolkit.kills() <= 2
    assert bench.outcomes(BAD)[-1] is Outcome.COMPILED


def test_a_torn_dependency_file_of_a_killed_compiler_stops_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [])
    (bench.built.build / f"{BAD}.d").write_text("CMakeFiles/_C.dir/csrc/tw")
    assert bench.run().code == 0
    assert not bench.built.missing()


def started(root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.replay.driver", str(root)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def alive(root: Path) -> list[psutil.Process]:
    """Everything that works in this folder."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(root) in " ".join(p.info["cmdline"] or [])]


def test_the_compilers_of_a_killed_ninja_end_with_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, told(Fault.HANG))
    child = started(tmp_path)
    while BAD not in bench.ran():
        time.sleep(0.05)
    for process in alive(tmp_path):
        if process.info["cmdline"][0].endswith("ninja"):
            process.kill()
    assert child.wait(60) != 0
    assert alive(tmp_path) == []


@pytest.mark.parametrize("fault", [Fault.HANG, Fault.DEAF])
def test_ctrl_c_ends_what_hangs_and_what_ignores_it(fault: Fault, tmp_path: Path) -> None:
    bench = Bench(tmp_path, told(fault))
    if fault is Fault.DEAF:
        slow = [
            edge if edge.output != BAD else Recorded(output=BAD, seconds=6000.0, memory=GB, size=1)
            for edge in EDGES
        ]
        bench.toolkit.configure(slow, faults=told(fault))
    child = started(tmp_path)
    while BAD not in bench.ran():
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    assert child.wait(60) != 0
    assert alive(tmp_path) == []
    bench.well()
    assert bench.run().code == 0
    assert not bench.built.missing()
