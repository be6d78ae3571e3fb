"""Edges behind the gate: a real ninja starts the real launcher; a fake compiler does what its source says."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.gate_bench import MIB, Bench, Known
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.engine.reuse import NoReuse, Replay
from winvllm_build.build.events import EdgeDone

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the fake compilers kill themselves and each other by POSIX signals"
)
KILLED_ONCE = "if tries == 1: os.kill(os.getpid(), 9)"
KILLED = "os.kill(os.getpid(), 9)"
BUSY = "import time; time.sleep(0.4)"
BEGUN = "import time\nwhile not os.path.exists('{}.o.tries'): time.sleep(0.01)"
"""Goes on until another compile has begun."""
PRINTS = "print('a warning')"
BROKEN = "sys.exit('x.cu(3): error: no such thing')"


def test_every_edge_runs_once_and_is_measured(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={"one": "x = bytearray(60 << 20)", "two": PRINTS})
    ran = bench.run(bench.gate(slots=2))
    assert (ran.code, ran.finished, len(ran.failed)) == (0, 2, 0)
    records = {record.edge.output: record for record in bench.heard.records}
    assert {record.outcome for record in records.values()} == {Outcome.COMPILED}
    assert records["one.o"].memory > 60 * MIB
    assert records["one.o"].cpu > 0
    assert records["one.o"].size == len("whole")
    assert records["one.o"].asked <= records["one.o"].started <= records["one.o"].ended
    assert {record.edge.output for record in bench.costs.learnt} == {"one.o", "two.o"}
    assert bench.run(bench.gate(slots=2)).finished == 0


def test_memory_limits_what_runs_at_once_and_slots_do(tmp_path: Path) -> None:
    names = [f"part{number}" for number in range(7)]
    bench = Bench(
        folder=tmp_path, sources=dict.fromkeys(names, BUSY), costs=Known({f"{n}.o": (1, 400) for n in names})
    )
    assert bench.run(bench.gate(slots=7, most=1000)).finished == 7
    assert bench.heard.most() == 2
    assert bench.heard.most(lambda record: record.predicted_memory) <= 1000 * MIB


def test_a_connection_that_breaks_before_it_is_taken_does_not_close_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows' accept reports a launcher that was killed just then."""
    accept, broken = socket.socket.accept, iter([ConnectionResetError()])

    def once_broken(server: socket.socket) -> tuple[socket.socket, object]:
        for error in broken:
            raise error
        return accept(server)

    monkeypatch.setattr(socket.socket, "accept", once_broken)
    bench = Bench(folder=tmp_path, sources={"one": "pass", "two": "pass"})
    assert bench.run(bench.gate(slots=2)).finished == 2
    assert next(broken, None) is None


def test_small_edges_run_while_a_large_one_waits_and_it_runs_alone(tmp_path: Path) -> None:
    """Ninja offers the huge and the tiny one when the first runs; that ends when the tiny one has begun."""
    costs = {"first.o": (9.0, 300), "huge.o": (5.0, 3000), "tiny.o": (1.0, 100)}
    sources = {"first": BEGUN.format("tiny"), "offer": BEGUN.format("first"), "huge": "pass", "tiny": "pass"}
    bench = Bench(
        folder=tmp_path, sources=sources, costs=Known(costs), after={"huge": "offer", "tiny": "offer"}
    )
    assert bench.run(bench.gate(slots=3, most=1000)).finished == 4
    assert bench.heard.started[-1] == "huge.o"
    huge = next(r for r in bench.heard.records if r.edge.output == "huge.o")
    assert all(r.ended <= huge.started for r in bench.heard.records if r is not huge)


def test_edges_are_reckoned_with_what_those_before_them_needed(tmp_path: Path) -> None:
    names = [f"part{number}" for number in range(6)]
    bench = Bench(
        folder=tmp_path,
        sources=dict.fromkeys(names, f"x = bytearray({200 * MIB})"),
        costs=Known({f"{name}.o": (1, 100) for name in names}),
    )
    assert bench.run(bench.gate(slots=1, most=500)).finished == 6
    ran = sorted(bench.heard.records, key=lambda record: record.started)
    assert all(a.predicted_memory < b.predicted_memory for a, b in itertools.pairwise(ran))
    assert ran[-1].predicted_memory > 150 * MIB


def test_an_edge_killed_for_memory_runs_again_alone_with_twice_the_estimate(tmp_path: Path) -> None:
    sources = {"hungry": KILLED_ONCE, **{f"other{number}": BUSY for number in range(3)}}
    bench = Bench(folder=tmp_path, sources=sources, costs=Known({"hungry.o": (9.0, 100)}))
    ran = bench.run(bench.gate(slots=2))
    assert (ran.code, ran.finished) == (0, 4)
    assert bench.heard.outcomes("hungry.o") == [Outcome.RETRIED, Outcome.COMPILED]
    first, second = (r for r in bench.heard.records if r.edge.output == "hungry.o")
    assert second.predicted_memory >= 2 * first.predicted_memory
    assert (first.attempt, second.attempt) == (1, 2)
    others = [r for r in bench.heard.records if r.edge.output != "hungry.o"]
    assert all(r.ended <= second.started or r.started >= second.ended for r in others)
    assert bench.made("hungry") == "whole"


def test_an_edge_that_never_fits_fails_explained_after_three_tries(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={"hungry": KILLED, "other": "pass"})
    ran = bench.run(bench.gate(slots=2))
    assert bench.heard.outcomes("hungry.o") == [Outcome.RETRIED, Outcome.RETRIED, Outcome.FAILED]
    (failed,) = ran.failed
    assert "out of memory (exit -9) in 3 tries" in failed.log.read_text()
    assert bench.made("other") == "whole"


def test_an_ordinary_error_is_not_tried_again_and_starts_nothing_more(tmp_path: Path) -> None:
    sources = {"broken": BROKEN, **{f"later{number}": "pass" for number in range(6)}}
    bench = Bench(folder=tmp_path, sources=sources, costs=Known({"broken.o": (9.0, 100)}))
    ran = bench.run(bench.gate(slots=1), keep_going=False)
    assert [failed.outputs for failed in ran.failed] == [("broken.o",)]
    assert bench.heard.outcomes("broken.o") == [Outcome.FAILED]
    assert "no such thing" in ran.failed[0].first_error
    assert bench.heard.started == ["broken.o"]
    assert [event.failed for event in bench.heard.events if isinstance(event, EdgeDone)] == [True]
    assert ran.finished == 1


def test_what_a_compiler_prints_arrives_whole(tmp_path: Path) -> None:
    text = (
        "for n in range(40000): print('line', n, 'ä' * 40)\nsys.stdout.flush()\n"
        "print('to stderr', file=sys.stderr)\nsys.exit(3)"
    )
    bench = Bench(folder=tmp_path, sources={"loud": text})
    (failed,) = bench.run(bench.gate(slots=1)).failed
    lines = failed.log.read_text().splitlines()
    assert [line for line in lines if line.startswith("line")] == [
        f"line {n} {'ä' * 40}" for n in range(40000)
    ]
    assert "to stderr" in lines


class Earlier(NoReuse):
    """Has one output from before, and keeps what else ends well."""

    def __init__(self, build: Path) -> None:
        self.build, self.kept, self.begins = build, dict[str, bytes](), list[str]()

    def find(self, edge: Edge) -> Replay | None:
        if edge.output != "old.o":
            return None
        (self.build / "old.o").write_text("from before")
        return Replay(text=b"an old warning\n")

    def begun(self, edge: Edge) -> None:
        self.begins.append(edge.output)

    def keep(self, edge: Edge, text: bytes) -> None:
        self.kept[edge.output] = text


def test_a_finished_edge_is_put_in_place_and_nothing_runs(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={"old": BROKEN, "new": PRINTS})
    earlier = Earlier(bench.build)
    assert bench.run(bench.gate(slots=1, reuse=earlier)).code == 0
    assert bench.made("old") == "from before"
    assert bench.heard.outcomes("old.o") == [Outcome.REUSED]
    assert (earlier.begins, earlier.kept) == (["new.o"], {"new.o": b"a warning\n"})


def test_an_output_that_is_a_link_into_a_store_is_not_written_through(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={"linked": "pass"})
    kept = tmp_path / "kept"
    kept.write_text("of the store")
    os.link(kept, bench.build / "linked.o")
    os.utime(kept, (0, 0))
    bench.run(bench.gate(slots=1))
    assert (bench.made("linked"), kept.read_text()) == ("whole", "of the store")
    (bench.build / "linked.o").unlink()
    os.link(kept, bench.build / "linked.o")
    os.utime(kept, (0, 0))
    subprocess.run([bench.door.program, "-C", bench.build], check=True, capture_output=True)
    assert (bench.made("linked"), kept.read_text()) == ("whole", "of the store")


def test_without_a_gate_the_command_just_runs(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={"one": PRINTS, "bad": BROKEN})
    done = subprocess.run(
        [bench.door.program, "-C", bench.build, "-k", "0"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "a warning" in done.stdout
    assert (bench.made("one"), bench.made("bad")) == ("whole", "half")


def test_nothing_runs_any_more_when_the_gate_is_gone(tmp_path: Path) -> None:
    bench = Bench(folder=tmp_path, sources={f"part{n}": "open('ran', 'w')" for n in range(4)})
    environment = {**os.environ, "WINVLLM_GATE": f"unix {tmp_path}/nobody token"}
    done = subprocess.run(
        [bench.door.program, "-C", bench.build, "-j", "4"], env=environment, capture_output=True, check=False
    )
    assert (done.returncode, b"winvllm-build was killed" in done.stdout) == (1, True)
    assert not (bench.build / "ran").exists()


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_signal_to_the_launcher_ends_the_compiler(tmp_path: Path) -> None:
    bench = Bench(
        folder=tmp_path,
        sources={"long": "open('pid', 'w').write(str(os.getpid()))\nimport time; time.sleep(60)"},
    )
    with bench.gate(slots=1) as gate:
        compiler = [sys.executable, "-I", "-S", str(tmp_path / "compiler.py")]
        child = subprocess.Popen(
            [*bench.launcher, *compiler, "-c", bench.source("long"), "-o", "long.o"],
            env={**os.environ, **gate.environment}, cwd=bench.build,
        )  # fmt: skip
        wait_for(bench.build / "pid")
        time.sleep(0.1)
        pid = int((bench.build / "pid").read_text())
        child.send_signal(signal.SIGTERM)
        assert child.wait(timeout=30) == -signal.SIGTERM
        assert not psutil.pid_exists(pid)


def test_a_launcher_that_is_killed_is_known_and_its_compiler_ended(tmp_path: Path) -> None:
    killer = "import time\nopen('pid', 'w').write(str(os.getpid()))\nos.kill(os.getppid(), 9)\ntime.sleep(60)"
    bench = Bench(folder=tmp_path, sources={"orphan": killer, "other": "pass"})
    gate = bench.gate(slots=2)
    ran = bench.run(gate)
    assert [failed.outputs for failed in ran.failed] == [("orphan.o",)]
    assert gate.lost == {"orphan.o"}
    pid = int((bench.build / "pid").read_text())
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)


CHILD = """\
import sys
from pathlib import Path
from tests.gate_bench import Bench
long = "open('pid', 'w').write(str(os.getpid())); import time; time.sleep(60)"
bench = Bench(folder=Path(sys.argv[1]), sources={"long": long, "later": "pass"})
try:
    bench.run(bench.gate(slots=1))
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_an_interrupted_build_leaves_no_compiler_and_no_half_output(tmp_path: Path, checkout: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path / "bench"], cwd=checkout)
    mark = tmp_path / "bench" / "build" / "pid"
    wait_for(mark)
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 130
    assert not psutil.pid_exists(int(mark.read_text()))
    assert not (mark.parent / "long.o").exists()
