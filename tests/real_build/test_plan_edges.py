"""The edges of a small real CMake project, with launchers in front of compilers and linkers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.build.configure import Configuration, configure
from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.plan import edges, setting
from winvllm_build.build.plan.identity import Identities
from winvllm_build.build.plan.schedule import jobs_of
from winvllm_build.errors import ConfigureError

LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(mini LANGUAGES CXX)
foreach(name one two)
  add_library(${name} MODULE csrc/${name}_a.cpp csrc/${name}_b.cpp)
  target_compile_definitions(${name} PRIVATE "WORDS=\\"two words\\"")
endforeach()
add_custom_target(said COMMAND ${CMAKE_COMMAND} -E echo said)
"""
LAUNCHER = "/usr/bin/env;LAUNCHED=1"


def tool(name: str) -> Path:
    found = process.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found is not None
    return found


def configured(folder: Path, build: str, **definitions: str) -> Path:
    """One of several build folders of the same source."""
    source = folder / "source"
    (source / "csrc").mkdir(parents=True, exist_ok=True)
    (source / "CMakeLists.txt").write_text(LISTS)
    for name in ("one_a", "one_b", "two_a", "two_b"):
        (source / "csrc" / f"{name}.cpp").write_text(f"int {name}() {{ return 1; }}\n")
    wanted = Configuration(
        cmake=tool("cmake"), ninja=tool("ninja"), source=source, build=folder / build,
        definitions={"CMAKE_BUILD_TYPE": "Release", **definitions}, environment=dict(os.environ),
    )  # fmt: skip
    configure(wanted, log=folder / f"{build}.log")
    return wanted.build


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("a folder")


@pytest.fixture(scope="module")
def plain(folder: Path) -> tuple[Edge, ...]:
    return edges.read(configured(folder, "plain"))


@pytest.fixture(scope="module")
def launched(folder: Path) -> Path:
    return configured(
        folder, "launched",
        CMAKE_CXX_COMPILER_LAUNCHER=LAUNCHER, CMAKE_CXX_LINKER_LAUNCHER=LAUNCHER,
    )  # fmt: skip


def test_a_target_is_its_objects_and_then_its_link(launched: Path) -> None:
    found = edges.read(launched, ["one"])
    assert [(edge.language, edge.target, edge.source) for edge in found] == [
        (Language.CXX, "one", "<tree>/csrc/one_a.cpp"),
        (Language.CXX, "one", "<tree>/csrc/one_b.cpp"),
        (Language.LINK, "one", ""),
    ]
    (link,) = jobs_of(found[2:], _no_cost)
    assert link.after == ()
    assert jobs_of(found, _no_cost)[2].after == (found[0].output, found[1].output)


def _no_cost(edge: Edge) -> Cost:
    del edge
    return Cost(seconds=1, memory=1, size=1, basis=Basis.CLASS)


def test_launchers_are_not_part_of_the_work(launched: Path, plain: tuple[Edge, ...]) -> None:
    found = edges.read(launched)
    assert [edge.key for edge in found] == [edge.key for edge in plain]
    assert len({edge.key for edge in found}) == 6
    assert all("env" not in edge.arguments[0] for edge in found)
    assert '-DWORDS="two words"' in found[0].arguments


def test_custom_commands_are_no_edges_and_single_objects_may_be_asked_for(launched: Path) -> None:
    assert edges.read(launched, ["said"]) == ()
    (one,) = edges.read(launched, ["CMakeFiles/two.dir/csrc/two_b.cpp.o"])
    assert one.source == "<tree>/csrc/two_b.cpp"


def test_a_target_that_ninja_does_not_know_is_a_clear_failure(launched: Path) -> None:
    with pytest.raises(ConfigureError, match="nothing of that name"):
        edges.read(launched, ["nothing of that name"])


def test_other_contents_are_other_work_under_the_same_command(launched: Path) -> None:
    here = setting.read(launched)
    (one,) = edges.read(launched, ["CMakeFiles/two.dir/csrc/two_b.cpp.o"])
    before = Identities(here, "v1").of(one)
    assert Identities(here, "v1").of(one) == before
    assert Identities(here, "v2").of(one) != before
    (here.tree / "csrc" / "two_b.cpp").write_text("int other;\n")
    assert Identities(here, "v1").of(one) != before
