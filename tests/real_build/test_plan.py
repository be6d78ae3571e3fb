"""`plan` on real vLLM: every edge of a real configure, in seconds, without a GPU or a CUDA build of torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.network, pytest.mark.nvcc, pytest.mark.usefixtures("quickstart_tree")]
FLASH_ATTENTION = """\
cmake_minimum_required(VERSION 3.26)
project(stand_in LANGUAGES CXX)
add_library(_vllm_fa2_C MODULE fa2.cpp)
add_library(_vllm_fa3_C MODULE hopper.cpp)
"""
PROFILE = """\
tag = "v0.33.0"
[source]
layers = ["gcc12"]
[source.dependencies]
cutlass = "{folder}/cutlass"
flash-attn = "{folder}/flash-attn"
[build]
leave_out = ["_vllm_fa2_C", "_vllm_fa3_C"]
"""


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v0.33.0 with stand-ins for what is not in the package index; they say nothing of vLLM's own targets."""
    folder = tmp_path_factory.mktemp("stand-ins")
    files = {
        "flash-attn/CMakeLists.txt": FLASH_ATTENTION, "flash-attn/fa2.cpp": "", "flash-attn/hopper.cpp": "",
        "flash-attn/vllm_flash_attn/__init__.py": "", "cutlass/CMakeLists.txt": "",
        "cutlass/include/cutlass/cutlass.h": "", "cutlass/tools/util/include/x.h": "",
    }  # fmt: skip
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    chosen = folder / "whole.toml"
    chosen.write_text(PROFILE.format(folder=folder.as_posix()), encoding="utf-8")
    return chosen


class Planner:
    """`winvllm-build plan` as a user starts it."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).parent / "winvllm-build", "plan", *arguments],
            env={**os.environ, "WINVLLM_BUILD_HOME": str(self.home)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    def data(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(scope="module")
def planner(test_cache: Path) -> Planner:
    return Planner(test_cache / "workspace")


@pytest.fixture(scope="module")
def whole(planner: Planner, profile: Path) -> dict[str, Any]:
    found: dict[str, Any] = planner.data("--profile", str(profile), "--arch", "8.6", "--edges")["builds"][0]
    return found


def test_the_counts_are_those_of_the_real_graph(whole: dict[str, Any]) -> None:
    """83 kernels with 118 device passes, 6 C++ files, 5 links: a complete build ran so many edges."""
    total = whole["total"]
    assert (total["cuda_objects"], total["device_passes"]) == (83, 118)
    assert (total["cxx_objects"], total["links"], total["edges"]) == (6, 5, 94)
    targets = {name: one["cuda_objects"] for name, one in whole["targets"].items() if one["cuda_objects"]}
    assert targets == {"_C_stable_libtorch": 60, "_moe_C_stable_libtorch": 23}
    assert set(whole["codes"]) == {"sm_86", "sm_80", "compute_80"}
    assert len(whole["edges"]) == 94


def test_what_is_left_out_says_why_and_how_much(whole: dict[str, Any]) -> None:
    left = whole["left_out"]
    assert left["_vllm_fa2_C"] == {"compile_edges": 1, "reason": "left out by the profile"}
    assert all(one["reason"] for one in left.values())


def test_time_memory_and_disk_stand_on_recorded_figures(whole: dict[str, Any]) -> None:
    predicted = whole["predicted"]
    assert whole["basis"].get("recorded", 0) + whole["basis"].get("measured", 0) > 85
    assert predicted["seconds"] >= predicted["lower_bound_seconds"] > 0
    assert predicted["peak_memory_bytes"] <= max(
        predicted["memory_budget_bytes"], *(edge["memory_bytes"] for edge in whole["edges"])
    )
    assert 100e6 < predicted["disk_bytes"] < 2e9


def test_a_second_plan_configures_nothing_and_another_machine_is_quicker(
    planner: Planner, profile: Path, whole: dict[str, Any]
) -> None:
    arguments = ("--profile", str(profile), "--arch", "8.6")
    small = planner.data(*arguments, "--slots", "2", "--memory", "16")["builds"][0]
    large = planner.data(*arguments, "--slots", "16", "--memory", "64")["builds"][0]
    assert small["configured_before"]
    assert small["build"] == whole["build"]
    assert large["predicted"]["seconds"] < small["predicted"]["seconds"] / 4


def test_two_lists_share_what_is_compiled_alike(planner: Planner, profile: Path) -> None:
    lists = ("--profile", str(profile), "--arch-list", "8.6", "--arch-list", "8.9")
    found = planner.data(*lists)
    sharing = found["sharing"]
    assert [build["total"]["cuda_objects"] for build in found["builds"]] == [83, 93]
    assert sharing["all"]["cuda_objects"] == 176
    assert 100 < sharing["distinct_commands"]["cuda_objects"] <= sharing["distinct"]["cuda_objects"] < 150
    assert sharing["saved_work_seconds"] > 0
    text = planner.run(*lists).stdout
    assert "as generated headers differ" in text
    assert "as recorded with the tool" in text
