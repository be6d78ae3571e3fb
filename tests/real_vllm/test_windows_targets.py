"""The projects of v0.33.0 on Windows: a target for each that setup.py asks for, and nothing is fetched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.real_vllm.newest import patched_modules
from winvllm_build import process
from winvllm_build.build import facts
from winvllm_build.toolchain.buildtools import find_cmake, find_ninja
from winvllm_build.toolchain.system import this_system

PROJECTS = ("deepgemm", "deepselect", "fmha_sm100", "flashmla", "flashkda", "qutlass", "tml_fa4")
OTHERS = {
    "cumem_allocator", "spinloop", "fs_io_C", "_C_stable_libtorch", "_moe_C_stable_libtorch",
    "triton_kernels", "_vllm_fa2_C", "_vllm_fa3_C", "_vllm_fa4_cutedsl_C", "_rocm_C", "_C",
    "_C_AVX2", "_C_AVX512",
}  # fmt: skip
"""Built or copied on Windows too, or for another device."""
LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(windows LANGUAGES NONE)
set(MSVC TRUE)
set(WIN32 TRUE)
set(VLLM_TARGET_DEVICE cuda)
set(CUDA_VERSION 13.0)
set(FETCHCONTENT_FULLY_DISCONNECTED ON)
include({tree}/cmake/windows.cmake)
vllm_msvc_include_cuda("C:/Program Files/CUDA")
add_subdirectory(flash-attention)
"""
TOLD = """\
get_directory_property(OPTIONS COMPILE_OPTIONS)
get_directory_property(DEFINITIONS COMPILE_DEFINITIONS)
file(WRITE ${CMAKE_BINARY_DIR}/told "${OPTIONS};${DEFINITIONS};${CMAKE_MSVC_DEBUG_INFORMATION_FORMAT}")
"""
EACH = ("/Zc:preprocessor", "/Zc:__cplusplus", "/bigobj", "/FS", "/utf-8", "/Usmall")
DEFINED = {"NOMINMAX", "WIN32_LEAN_AND_MEAN", "_USE_MATH_DEFINES=", "USE_CUDA"}

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def tree(checkout: Path, test_cache: Path) -> Path:
    return patched_modules(checkout, test_cache).root


def ran(*arguments: str | Path) -> str:
    done = process.capture(arguments)
    assert done.code == 0, done.text + done.error_text
    return done.text + done.error_text


def test_every_extension_of_setup_py_has_a_target_and_subdirectories_the_settings(
    tree: Path, tmp_path: Path
) -> None:
    cmake, ninja = (find(os.environ, this_system()).path for find in (find_cmake, find_ninja))
    files = (f"{tree.as_posix()}/cmake/external_projects/{name}.cmake" for name in PROJECTS)
    lists = LISTS.format(tree=tree.as_posix()) + "".join(f"include({file})\n" for file in files)
    (tmp_path / "CMakeLists.txt").write_text(lists, encoding="utf-8")
    (tmp_path / "flash-attention").mkdir()
    (tmp_path / "flash-attention" / "CMakeLists.txt").write_text(TOLD, encoding="utf-8")
    build = tmp_path / "build"
    said = ran(cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-S", tmp_path, "-B", build)
    assert said.count("not supported with MSVC") == len(PROJECTS)
    names = {name.rpartition(".")[2] for name in facts.read(tree).extensions}
    assert names >= OTHERS
    for name in sorted(names - OTHERS):
        ran(cmake, "--build", build, "--target", name)
        ran(cmake, "--install", build, "--prefix", tmp_path / "installed", "--component", name)
    assert not (tmp_path / "installed").exists()
    told = (build / "told").read_text(encoding="utf-8").split(";")
    header = f"--pre-include={tmp_path.as_posix()}/cmake/windows_cuda.h"
    assert f"$<$<COMPILE_LANGUAGE:CUDA>:{header}>" in told
    assert all(f"$<$<COMPILE_LANGUAGE:CXX>:{option}>" in told for option in EACH)
    assert all(f"$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler={option}>" in told for option in EACH)
    assert set(told) >= DEFINED
    assert told[-1] == "$<$<CONFIG:Debug,RelWithDebInfo>:Embedded>"
