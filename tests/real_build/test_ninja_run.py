"""A small real CMake project: configure, selection, progress, failures, interruption, kill and resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from winvllm_build import process
from winvllm_build.build import codemodel, ninja
from winvllm_build.build.configure import Configuration, configure
from winvllm_build.build.events import EdgeDone
from winvllm_build.build.selection import select
from winvllm_build.errors import ConfigureError, UsageError

LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(mini LANGUAGES CXX)
foreach(name one two)
  add_library(${name} MODULE csrc/${name}_a.cpp csrc/${name}_b.cpp)
  install(TARGETS ${name} LIBRARY DESTINATION vllm COMPONENT ${name})
endforeach()
"""


def tool(name: str) -> Path:
    """The program from the package's own environment."""
    found = process.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found is not None
    return found


@pytest.fixture
def project(tmp_path: Path) -> Configuration:
    source = tmp_path / "source"
    (source / "csrc").mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(LISTS)
    (source / "csrc" / "shared.h").write_text("int shared();\n")
    for name in ("one_a", "one_b", "two_a", "two_b"):
        (source / "csrc" / f"{name}.cpp").write_text(f'#include "shared.h"\nint {name}() {{ return 1; }}\n')
    return Configuration(
        cmake=tool("cmake"),
        ninja=tool("ninja"),
        source=source,
        build=tmp_path / "build folder",
        definitions={"CMAKE_BUILD_TYPE": "Release"},
        environment=dict(os.environ),
    )


@pytest.fixture
def configured(project: Configuration, tmp_path: Path) -> Configuration:
    configure(project, log=tmp_path / "configure.log")
    return project


def door(configuration: Configuration) -> ninja.Ninja:
    return ninja.Ninja(
        program=configuration.ninja, folder=configuration.build, environment=configuration.environment
    )


def run(
    configuration: Configuration, *targets: str, keep_going: bool = False
) -> tuple[ninja.RunResult, list[EdgeDone]]:
    edges: list[EdgeDone] = []
    result = door(configuration).run(
        targets, jobs=2, keep_going=keep_going, logs=configuration.build / "logs", on_edge=edges.append
    )
    return result, edges


def test_configure_runs_once_for_the_same_inputs(project: Configuration, tmp_path: Path) -> None:
    log = tmp_path / "configure.log"
    assert configure(project, log=log).reused is False
    assert "Build files have been written" in log.read_text()
    assert configure(project, log=log).reused is True


def test_configure_runs_again_for_another_value(configured: Configuration, tmp_path: Path) -> None:
    changed = Configuration(
        cmake=configured.cmake,
        ninja=configured.ninja,
        source=configured.source,
        build=configured.build,
        definitions={"CMAKE_BUILD_TYPE": "Debug"},
        environment=configured.environment,
    )
    assert configure(changed, log=tmp_path / "again.log").reused is False


def test_a_torn_configure_is_repaired_and_keeps_finished_objects(
    configured: Configuration, tmp_path: Path
) -> None:
    run(configured)
    (configured.build / ".winvllm-configuring").touch()
    (configured.build / "CMakeCache.txt").write_text("CMAKE_HOME_DIRECTORY:INTERNAL=torn")
    assert configure(configured, log=tmp_path / "again.log").reused is False
    again, _ = run(configured)
    assert (again.code, again.finished) == (0, 0)


def test_a_failing_configure_names_the_error_and_the_log(project: Configuration, tmp_path: Path) -> None:
    (project.source / "CMakeLists.txt").write_text(LISTS + 'message(FATAL_ERROR "no toolkit here")\n')
    with pytest.raises(ConfigureError, match="no toolkit here") as caught:
        configure(project, log=tmp_path / "configure.log")
    assert str(tmp_path / "configure.log") in str(caught.value)


def test_code_model_knows_extensions_and_components(configured: Configuration) -> None:
    model = codemodel.read(configured.build)
    assert [t.name for t in model.extensions()] == ["one", "two"]
    assert {"one", "two"} <= model.components


def test_selection_resolves_objects_and_says_what_is_left_out(configured: Configuration) -> None:
    chosen = select(
        codemodel.read(configured.build),
        commands=ninja.read_compile_commands(configured.build),
        source=configured.source,
        wanted=["one"],
        leave_out=[],
        objects=["csrc/two_*.cpp"],
        unavailable={"three": "its source could not be had"},
    )
    assert chosen.targets == ("one",)
    assert [Path(o).name for o in chosen.objects] == ["two_a.cpp.o", "two_b.cpp.o"]
    assert {(o.name, o.reason) for o in chosen.left_out} == {
        ("two", "not asked for"),
        ("three", "its source could not be had"),
    }
    assert run(configured, *chosen.ninja_targets)[0].finished == 5


def test_selection_lists_every_unknown_name_with_a_suggestion(configured: Configuration) -> None:
    with pytest.raises(UsageError) as caught:
        select(
            codemodel.read(configured.build),
            commands=ninja.read_compile_commands(configured.build),
            source=configured.source,
            wanted=["onne"],
            leave_out=["tow"],
            objects=["csrc/none.cpp"],
            unavailable={},
        )
    assert 'did you mean "one"' in caught.value.message
    assert "'tow'" in caught.value.message
    assert "'csrc/none.cpp'" in caught.value.message


def test_progress_counts_to_the_total_and_a_second_run_does_nothing(configured: Configuration) -> None:
    result, edges = run(configured)
    assert (result.code, result.finished, result.total) == (0, 6, 6)
    assert [e.finished for e in edges] == [1, 2, 3, 4, 5, 6]
    assert edges[-1].remaining == 0
    again, edges = run(configured)
    assert (again.code, again.finished, edges) == (0, 0, [])


def test_editing_one_file_rebuilds_what_depends_on_it_only(configured: Configuration) -> None:
    run(configured)
    (configured.source / "csrc" / "two_a.cpp").write_text("int two_a() { return 2; }\n")
    _, edges = run(configured)
    assert [e.title.rpartition("/")[2] for e in edges] == [
        "two_a.cpp.o",
        "Linking CXX shared module libtwo.so",
    ]


def test_a_failed_edge_has_its_own_log_and_the_rest_goes_on_when_asked(configured: Configuration) -> None:
    (configured.source / "csrc" / "one_a.cpp").write_text("int one_a() { return undefined_name; }\n")
    result, edges = run(configured, keep_going=True)
    assert result.code != 0
    assert [e.failed for e in edges].count(True) == 1
    (failed,) = result.failed
    assert "undefined_name" in failed.first_error
    log = failed.log.read_text()
    assert "one_a.cpp" in log
    assert "undefined_name" in log
    assert (configured.build / "libtwo.so").exists()


SLOW_COMPILER = """\
#!/bin/sh
object=$(echo "$*" | sed 's/.* -o \\([^ ]*\\).*/\\1/')
case "$*" in *slow.cpp*) printf half > "$object"; : > slow-started; sleep 60;; esac
exec c++ "$@"
"""

CHILD = """\
import sys
from pathlib import Path
from winvllm_build.build import ninja
import os
program, folder = Path(sys.argv[1]), Path(sys.argv[2])
try:
    ninja.Ninja(program=program, folder=folder, environment=dict(os.environ)).run(
        [], jobs=2, keep_going=False, logs=folder / "logs", on_edge=lambda edge: None)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.fixture
def slow(project: Configuration, tmp_path: Path) -> Configuration:
    compiler = tmp_path / "slow-c++"
    compiler.write_text(SLOW_COMPILER)
    compiler.chmod(0o755)
    (project.source / "csrc" / "slow.cpp").write_text("int slow() { return 3; }\n")
    (project.source / "CMakeLists.txt").write_text(LISTS + "add_library(slow MODULE csrc/slow.cpp)\n")
    changed = Configuration(
        cmake=project.cmake,
        ninja=project.ninja,
        source=project.source,
        build=project.build,
        definitions={"CMAKE_CXX_COMPILER": str(compiler)},
        environment=project.environment,
    )
    configure(changed, log=tmp_path / "configure.log")
    return changed


def start_and_wait(configuration: Configuration) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(configuration.ninja), str(configuration.build)],
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not (configuration.build / "slow-started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return child


def compilers(configuration: Configuration) -> list[int]:
    needle = str(configuration.source / "csrc" / "slow.cpp")
    return [p.pid for p in psutil.process_iter(["cmdline"]) if needle in " ".join(p.info["cmdline"] or [])]


def test_interruption_leaves_no_compiler_and_no_half_object(slow: Configuration) -> None:
    child = start_and_wait(slow)
    assert compilers(slow)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 130
    assert not compilers(slow)
    assert not (slow.build / "CMakeFiles" / "slow.dir" / "csrc" / "slow.cpp.o").exists()
    assert not (slow.build / ".winvllm-running.json").exists()


def test_after_kill_9_the_next_run_ends_the_orphans_and_finishes(slow: Configuration) -> None:
    child = start_and_wait(slow)
    child.kill()
    child.wait()
    orphans = compilers(slow)
    assert orphans
    slow_compiler = Path(slow.definitions["CMAKE_CXX_COMPILER"])
    slow_compiler.write_text('#!/bin/sh\nexec c++ "$@"\n')
    result, _ = run(slow)
    assert result.code == 0
    assert not set(orphans) & set(compilers(slow))
    made = slow.build / "CMakeFiles" / "slow.dir" / "csrc" / "slow.cpp.o"
    assert made.read_bytes()[:4] == b"\x7fELF"
    assert run(slow)[0].finished == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a.cu(12): warning #1\na.cu(14): error: identifier "uint" is undefined\n', "error: identifier"),
        ("x.cpp(3): fatal error C1083: Cannot open include file\nmore\n", "C1083"),
        ("LINK : fatal error LNK1104: cannot open file 'cuda.lib'\n", "LNK1104"),
        ("nvcc fatal   : Unsupported gpu architecture 'compute_120'\n", "compute_120"),
        ("Killed\n", "Killed"),
    ],
)
def test_first_error_finds_what_the_compiler_meant(text: str, expected: str) -> None:
    assert expected in ninja.first_error(text.splitlines())
