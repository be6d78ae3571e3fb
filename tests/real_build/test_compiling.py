"""The compile step on a real CMake project: the order of edges, the store behind it, a killed launcher."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.gate_bench import Heard, Known, ninja_program
from winvllm_build import process
from winvllm_build.build import ninja
from winvllm_build.build.compiling import Compilation, compile_selection, equipped
from winvllm_build.build.configure import Configuration, configure
from winvllm_build.build.diagnosis import lookup
from winvllm_build.build.engine import launcher, order
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.events import CompileBegun, Note
from winvllm_build.build.selection import Selection
from winvllm_build.build.store import inventory
from winvllm_build.profile.model import BuildSection, Profile
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake compilers are shell scripts")
NAMES = ("alpha", "beta", "delta", "gamma")
LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(mini LANGUAGES CXX)
add_library(mini MODULE alpha.cpp beta.cpp delta.cpp gamma.cpp)
"""
COMPILER = """\
#!/bin/sh
case "$*" in *alpha.cpp*)
  test -e "{mark}" || {{ : > "{mark}"; kill -9 $PPID; sleep 5; }};;
esac
exec c++ "$@"
"""


class Project:
    """Four files and a library, configured as a build configures it."""

    def __init__(self, folder: Path, compiler: str = "c++") -> None:
        self.tree, self.workspace = folder / "tree", Workspace(root=folder / "workspace")
        self.build, self.heard, self.notes = self.workspace.builds / "mini", Heard(), list[str]()
        self.profile = Profile()
        self.tree.mkdir()
        (self.tree / "CMakeLists.txt").write_text(LISTS)
        for name in NAMES:
            (self.tree / f"{name}.cpp").write_text(f"int {name}() {{ return 1; }}\n")
        cmake = process.which("cmake", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        assert cmake is not None
        wanted = Configuration(
            cmake=cmake, ninja=ninja_program(), source=self.tree, build=self.build,
            definitions={
                **launcher.definitions(launcher.install(self.workspace)), "CMAKE_CXX_COMPILER": compiler,
            },
            environment=dict(os.environ),
        )  # fmt: skip
        configure(wanted, log=folder / "configure.log")
        self.door = ninja.Ninja(program=wanted.ninja, folder=self.build, environment=wanted.environment)

    @property
    def wanted(self) -> Compilation:
        selection = Selection(targets=("mini",), objects=(), left_out=())
        return Compilation.of(self.profile, self.door, selection, self.workspace)

    def compile(self, costs: Known | None = None) -> ninja.RunResult:
        with equipped(self.wanted, self.workspace, self.notes.append) as ready:
            return compile_selection(replace(ready, costs=costs or Known()), self.heard)

    def planned(self) -> list[str]:
        """What ninja would start, in its order."""
        done = subprocess.run(
            [self.door.program, "-C", self.build, "-n", "mini"], capture_output=True, text=True, check=True
        )
        return [Path(line.split()[-1]).stem for line in done.stdout.splitlines() if "Building" in line]


def costs_of(*names: str) -> Known:
    """The first named takes longest."""
    return Known({f"CMakeFiles/mini.dir/{n}.cpp.o": (9.0 - at, 10) for at, n in enumerate(names)})


def test_ninja_starts_what_the_order_says_and_cmake_does_not_run_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    manifest = project.build / "build.ninja"
    before = manifest.stat()
    assert project.planned() == [f"{name}.cpp" for name in NAMES]
    wished = ["gamma", "beta", "delta", "alpha"]
    assert order.reorder(project.build, [f"CMakeFiles/mini.dir/{name}.cpp.o" for name in wished])
    assert project.planned() == [f"{name}.cpp" for name in wished]
    assert manifest.stat().st_mtime_ns == before.st_mtime_ns
    assert stat.S_IMODE(manifest.stat().st_mode) == 0o644
    log = subprocess.run([project.door.program, "-C", project.build], capture_output=True, check=True).stdout
    assert b"Re-running CMake" not in log
    assert not order.reorder(project.build, [f"CMakeFiles/mini.dir/{name}.cpp.o" for name in wished])


def test_the_order_is_made_anew_when_cmake_has_run_again(tmp_path: Path) -> None:
    project = Project(tmp_path)
    manifest = project.build / "build.ninja"
    before = manifest.stat().st_mtime_ns - 10 * 10**9
    (project.tree / "CMakeLists.txt").write_text(LISTS.replace("MODULE", "MODULE epsilon.cpp"))
    (project.tree / "epsilon.cpp").write_text("int epsilon() { return 1; }\n")
    os.utime(manifest, ns=(before, before))  # a list of the future would stay newer than what it makes
    assert project.compile(costs_of("beta", "epsilon", "gamma", "delta", "alpha")).code == 0
    (begun,) = [event for event in project.heard.events if isinstance(event, CompileBegun)]
    names = [Path(planned.edge.output).name.split(".")[0] for planned in begun.edges]
    assert names[:5] == ["beta", "epsilon", "gamma", "delta", "alpha"]
    found = [piece.output for piece in order.pieces(manifest.read_text()) if piece.output]
    assert [Path(name).name.split(".")[0] for name in found] == names[:5]


def test_what_is_announced_has_the_memory_that_the_profile_gives_each_edge(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.profile = Profile(build=BuildSection(memory_per_job=0.5))
    assert project.compile(costs_of(*NAMES)).code == 0
    (begun,) = [event for event in project.heard.events if isinstance(event, CompileBegun)]
    assert {planned.cost.memory for planned in begun.edges} == {1 << 29}


def test_a_failure_is_of_the_run_that_had_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.profile = Profile(build=BuildSection(keep_going=True))
    for name in ("alpha", "beta"):
        (project.tree / f"{name}.cpp").write_text("int broken( {\n")
    folder = lookup.BuildFolder(folder=project.build, tree=project.tree, sets=())

    def failed() -> set[str]:
        return {Path(output).stem for one in lookup.what_failed(folder) for output in one.failure.outputs}

    assert len(project.compile().failed) == 2
    assert failed() == {"alpha.cpp", "beta.cpp"}
    (project.tree / "CMakeLists.txt").write_text(LISTS.replace("alpha.cpp ", ""))
    assert len(project.compile().failed) == 1
    assert failed() == {"beta.cpp"}
    (project.tree / "CMakeLists.txt").write_text(LISTS.replace("alpha.cpp beta.cpp ", ""))
    assert project.compile().code == 0
    assert failed() == set()


def test_the_store_keeps_to_the_size_of_the_profile(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.compile().finished == 5
    small = replace(project.wanted, profile=Profile(build=BuildSection(store_size=3000 / (1 << 30))))
    with equipped(small, project.workspace, project.notes.append):
        pass
    kept = inventory.take(project.workspace.objects)
    assert 0 < kept.edges < 5
    assert kept.size <= 3000
    assert any(f"{5 - kept.edges} edges that were not used" in note for note in project.notes)


def test_a_folder_that_was_dropped_is_filled_from_the_store(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.compile().finished == 5
    for name in NAMES:
        (project.build / "CMakeFiles" / "mini.dir" / f"{name}.cpp.o").unlink()
    (project.build / "libmini.so").unlink()
    project.heard.events.clear()
    assert project.compile().finished == 5
    assert {record.outcome for record in project.heard.records} == {Outcome.REUSED}
    assert project.compile().finished == 0


def test_an_edge_whose_launcher_was_killed_runs_again(tmp_path: Path) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text('#!/bin/sh\nexec c++ "$@"\n')
    compiler.chmod(0o755)
    project = Project(tmp_path, str(compiler))
    compiler.write_text(COMPILER.format(mark=tmp_path / "killed"))
    ran = project.compile()
    assert (ran.code, ran.failed) == (0, ())
    assert (project.build / "libmini.so").exists()
    assert [e.text for e in project.heard.events if isinstance(e, Note) and "was killed" in e.text]


def test_the_database_of_commands_has_no_launcher(tmp_path: Path) -> None:
    project = Project(tmp_path)
    entries = ninja.read_compile_commands(project.build)
    assert len(entries) == len(NAMES)
    assert not [entry for entry in entries if "launcher" in entry["command"]]
    assert all(edge.arguments[0].endswith("c++") for edge in project.wanted.edges.values())
