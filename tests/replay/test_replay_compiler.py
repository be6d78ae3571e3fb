"""The replay compiler replays: what it costs, writes and does wrong is what it was told."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.replay import compiler, project, recorded
from benchmarks.replay.compiler import Fault, Scale, Told, Toolkit, Victim
from benchmarks.replay.project import Project
from benchmarks.replay.recorded import Recorded

pytestmark = pytest.mark.skipif(not compiler.available(), reason="the replay compiler needs cc and Linux")

GB = 1_000_000_000
SCALE = Scale(time=0.01, memory=0.01, size=0.01)


def edge(name: str, *, seconds: float = 10.0, memory: int = GB, size: int = 1_000_000) -> Recorded:
    return Recorded(output=f"CMakeFiles/_C.dir/csrc/{name}.o", seconds=seconds, memory=memory, size=size)


LINK = Recorded(output="_C.abi3.so", seconds=1.0, memory=GB // 10, size=2_000_000)


def made(
    root: Path,
    edges: Sequence[Recorded],
    *,
    cap: int = 0,
    faults: Sequence[Told] = (),
    victim: Victim = Victim.LARGEST,
) -> tuple[Toolkit, Project]:
    toolkit = compiler.build(root / "toolkit", SCALE)
    toolkit.configure(edges, cap=cap, faults=faults, victim=victim)
    project.write_sources(root / "source", edges)
    return toolkit, project.configure(root / "source", root / "build", edges, toolkit)


def ninja(built: Project, jobs: int = 2) -> subprocess.CompletedProcess[str]:
    command = ["ninja", "-C", str(built.build), "-j", str(jobs), "-k", "0"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_recorded_builds_are_whole() -> None:
    full, small = recorded.load(recorded.FULL), recorded.load(recorded.SMALL)
    assert (len(full), len(small)) == (370, 94)
    assert sum(e.links for e in full) == sum(e.links for e in small) == 5
    assert sum(e.family == "flash-attention 3" for e in full) == 222
    assert {e.target for e in full if not e.links} == {e.target for e in full if e.links}
    assert 2600 < sum(e.seconds for e in small) < 2700


def test_a_build_is_the_same_bytes_each_time_and_anywhere(tmp_path: Path) -> None:
    edges = [edge("a.cu"), edge("b.cpp"), LINK]
    builds = [made(tmp_path / name, edges)[1] for name in ("one", "two")]
    assert [ninja(built).returncode for built in builds] == [0, 0]
    assert builds[0].contents() == builds[1].contents()
    assert len(set(builds[0].contents().values())) == 3


def test_ninja_makes_again_what_a_header_changed_and_nothing_else(tmp_path: Path) -> None:
    edges = [edge("a.cu"), edge("b.cu"), LINK]
    toolkit, built = made(tmp_path, edges)
    ninja(built)
    before = built.contents()
    assert "no work to do" in ninja(built).stdout
    (built.source / "csrc" / project.COMMON).write_text("// another\n")
    toolkit.forget()
    ninja(built)
    assert {h.output for h in toolkit.happenings() if h.event == "begin"} == set(built.outputs)
    assert all(before[name] != content for name, content in built.contents().items())


def test_it_takes_as_long_and_as_much_as_was_recorded(tmp_path: Path) -> None:
    edges = [edge("a.cu", seconds=50.0, size=3_000_000)]
    _, built = made(tmp_path, edges)
    begun = time.monotonic()
    ninja(built)
    assert time.monotonic() - begun >= 0.5
    assert len(built.contents()[edges[0].output]) == 30_064


def test_the_largest_is_killed_where_all_together_pass_the_cap(tmp_path: Path) -> None:
    edges = [edge("large.cu", memory=5 * GB, seconds=100), edge("small.cu", memory=2 * GB, seconds=60)]
    toolkit, built = made(tmp_path, edges, cap=6 * GB)
    ran = ninja(built)
    assert ran.returncode != 0
    assert "died due to signal 9" in ran.stdout
    assert built.missing() == [edges[0].output]
    assert toolkit.kills() == 1
    assert ninja(built, jobs=1).returncode == 0


def test_who_asks_for_too_much_is_refused_as_on_windows(tmp_path: Path) -> None:
    edges = [edge("large.cu", memory=5 * GB, seconds=100), edge("small.cu", memory=2 * GB, seconds=60)]
    toolkit, built = made(tmp_path, edges, cap=6 * GB, victim=Victim.ASKER)
    assert "fatal error C1060" in ninja(built).stdout
    assert toolkit.kills() == 1


SAYS = {
    Fault.KILLED: "died due to signal 9",
    Fault.KILLED_WHOLE: "FAILED: ",
    Fault.C1060: "fatal error C1060",
    Fault.C1061: "fatal error C1061",
    Fault.ILLEGAL: "0xC000001D",
    Fault.BAD_ALLOC: "std::bad_alloc",
    Fault.ERROR: "error: identifier",
    Fault.HALF: "FAILED: ",
}


@pytest.mark.parametrize("fault", SAYS)
def test_a_fault_fails_as_often_as_it_is_told(fault: Fault, tmp_path: Path) -> None:
    edges = [edge("a.cu", seconds=1.0)]
    _, built = made(tmp_path, edges, faults=[Told(output=edges[0].output, fault=fault, times=1)])
    first, second = ninja(built), ninja(built)
    assert first.returncode != 0
    assert SAYS[fault] in first.stdout
    assert second.returncode == 0
    assert not built.missing()


def test_half_an_object_stays_where_the_compiler_was_killed(tmp_path: Path) -> None:
    edges = [edge("a.cu", seconds=1.0)]
    _, built = made(tmp_path, edges, faults=[Told(output=edges[0].output, fault=Fault.HALF, times=1)])
    ninja(built)
    half = len(built.contents()[edges[0].output])
    ninja(built)
    assert 0 < half < len(built.contents()[edges[0].output])


def test_a_flood_is_of_the_size_that_was_told(tmp_path: Path) -> None:
    edges = [edge("a.cu", seconds=1.0)]
    _, built = made(tmp_path, edges, faults=[Told(output=edges[0].output, fault=Fault.FLOOD, value=2)])
    assert len(ninja(built).stdout) > 2_000_000


def test_nothing_is_written_and_all_is_said_to_be_well(tmp_path: Path) -> None:
    edges = [edge("a.cu", seconds=1.0)]
    toolkit, built = made(tmp_path, edges, faults=[Told(output=edges[0].output, fault=Fault.NOTHING)])
    ninja(built)
    assert built.missing() == [edges[0].output]
    assert [h.extra for h in toolkit.happenings() if h.event == "end"] == ["0"]
