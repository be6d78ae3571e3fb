"""A small CMake project that really fails: the summary, `why` of all and of one file, after the repair."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from winvllm_build import process
from winvllm_build.build import ninja
from winvllm_build.build.configure import Configuration, configure
from winvllm_build.build.diagnosis import ending, lookup
from winvllm_build.build.events import EdgeDone
from winvllm_build.errors import ConfigureError
from winvllm_build.workspace import Workspace

PROGRAM = Path(sys.executable).parent / "winvllm-build"
LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(mini LANGUAGES CXX)
add_library(cumem_allocator MODULE csrc/cumem_allocator.cpp csrc/fine.cpp)
add_library(_C MODULE csrc/hidden.cpp)
"""


def tool(name: str) -> Path:
    found = process.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found is not None
    return found


@pytest.fixture
def project() -> Configuration:
    workspace = Workspace.default()
    source = workspace.trees / "v0.33.0-sm86"
    (source / "csrc").mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(LISTS)
    (source / "csrc" / "cumem_allocator.cpp").write_text("int a( { return 1; }\n")
    (source / "csrc" / "fine.cpp").write_text("int fine() { return 1; }\n")
    (source / "csrc" / "hidden.cpp").write_text("#include <cublas_v2.h>\nint hidden() { return 1; }\n")
    return Configuration(
        cmake=tool("cmake"),
        ninja=tool("ninja"),
        source=source,
        build=workspace.builds / "v0.33.0-sm86-release-0123abcd",
        definitions={"CMAKE_BUILD_TYPE": "Release"},
        environment=dict(os.environ),
    )


def unheard(event: EdgeDone) -> None:
    assert event.total


def compile_all(wanted: Configuration) -> ninja.RunResult:
    door = ninja.Ninja(program=wanted.ninja, folder=wanted.build, environment=wanted.environment)
    return door.run(["all"], jobs=1, keep_going=True, logs=wanted.build / "logs", on_edge=unheard)


def why(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([PROGRAM, "why", "--json", *arguments], capture_output=True, text=True, check=False)
    told: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, told


def test_a_failed_build_is_told_until_it_is_repaired(project: Configuration) -> None:
    configure(project, log=project.build / "logs" / "configure.log")
    ran = compile_all(project)
    assert len(ran.failed) == 2

    error = ending.compile_error(ran.failed)
    assert "toolchain: a header of the CUDA libraries is not found" in error.message
    assert "unknown: no rule knows this error" in error.message
    assert "v0.33.0/windows/vllm/csrc/cumem_allocator.cpp.patch touches this file" in error.message
    assert "run the same command again" in str(error.fix)

    code, told = why()
    assert code == 1
    assert told["build"] == str(project.build)
    rules = {one["path"]: one["rule"] for one in told["failures"]}
    assert rules == {"csrc/cumem_allocator.cpp": None, "csrc/hidden.cpp": "cuda-header"}

    code, told = why("csrc/hidden.cpp")
    assert code == 1
    assert told["output"] == "CMakeFiles/_C.dir/csrc/hidden.cpp.o"
    assert [one["rule"] for one in told["failures"]] == ["cuda-header"]
    assert "hidden.cpp" in told["command"]

    code, told = why("fine.cpp")
    assert (code, told["failures"]) == (0, [])
    assert told["size"] > 0
    assert told["seconds"] is not None

    for name in ("cumem_allocator", "hidden"):
        (project.source / "csrc" / f"{name}.cpp").write_text(f"int {name}() {{ return 1; }}\n")
    assert compile_all(project).code == 0
    assert why() == (0, {"build": str(project.build), "failures": []})


def test_a_failed_configure_is_told(project: Configuration) -> None:
    (project.source / "CMakeLists.txt").write_text(LISTS + "target_link_libraries(_C PRIVATE CUDA::cublas)\n")
    with pytest.raises(ConfigureError) as caught:
        configure(project, log=project.build / "logs" / "configure.log")
    assert "CMakeLists.txt:5" in caught.value.message
    assert "toolchain: a library of the CUDA driver or of NVRTC is not found" in caught.value.message
    code, told = why()
    assert code == 1
    assert [(one["rule"], one["path"]) for one in told["failures"]] == [
        ("cuda-driver-stub", "CMakeLists.txt")
    ]


def test_a_name_that_no_edge_has_is_told_with_the_nearest(project: Configuration) -> None:
    configure(project, log=project.build / "logs" / "configure.log")
    done = subprocess.run([PROGRAM, "why", "csrc/finr.cpp"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'did you mean "csrc/fine.cpp"' in done.stderr


def test_the_last_used_build_folder_is_taken(project: Configuration) -> None:
    configure(project, log=project.build / "logs" / "configure.log")
    older = project.build.with_name("v0.14.1-sm86-release-0123abcd")
    (older / "logs").mkdir(parents=True)
    os.utime(older, (1, 1))
    workspace = Workspace.default()
    assert lookup.last_folder(workspace) == project.build
    assert lookup.last_folder(workspace, "v0.14.1-") == older
