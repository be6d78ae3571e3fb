"""The same sources in two folders: the same objects, library and debug information, byte by byte."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.build import reproducible
from winvllm_build.toolchain import host

pytestmark = pytest.mark.nvcc
LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(small LANGUAGES CXX CUDA)
add_library(small MODULE inner.cu outer.cu host.cpp)
target_include_directories(small PRIVATE csrc)
"""
HEADER = """\
#include <cassert>
inline const char* header() { return __FILE__; }
template <class T> __global__ void scale(T* p) { assert(p != nullptr); p[threadIdx.x] *= T(2); }
"""
INNER = """\
#include "scale.h"
namespace { __device__ int hidden = 3; __global__ void inner(int* p) { p[0] = hidden; } }
static void start(int* p) { inner<<<1, 1>>>(p); scale<<<1, 32>>>(p); }
namespace { struct At { At() { start(nullptr); } } at; }
"""
OUTER = """\
#include "scale.h"
static __global__ void twice(float* p) { p[threadIdx.x] += p[threadIdx.x]; }
const char* where() { return __FILE__; }
void go(float* p) { twice<<<1, 32>>>(p); scale<<<1, 32>>>(p); header(); }
"""
HOST = 'const char* host() { return __FILE__; }\nextern "C" const char* all() { return host(); }\n'
FILES = {
    "CMakeLists.txt": LISTS, "csrc/scale.h": HEADER, "inner.cu": INNER, "outer.cu": OUTER, "host.cpp": HOST,
}  # fmt: skip


def built(root: Path, *, same: bool) -> dict[str, str]:
    """The digest of everything that was compiled and linked below a folder."""
    nvcc, gnu = shutil.which("nvcc"), shutil.which("g++")
    if nvcc is None or gnu is None:
        pytest.skip("no nvcc or no g++ on PATH")  # a toolkit that the tool lays down is not on it
    source, build = root / "tree", root / "build"
    for name, text in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text, encoding="utf-8")
    folders = {source.as_posix(): "/vllm", build.as_posix(): "/build"}
    asked = reproducible.options(
        host.ask_gnu(Path(gnu)), Path(nvcc), folders,
        rules=root / "gate" / reproducible.RULES.name, environment=os.environ,
    )  # fmt: skip
    defined = {
        "CMAKE_BUILD_TYPE": "RelWithDebInfo",
        "CMAKE_CUDA_ARCHITECTURES": "86-real",
        **(asked if same else {}),
    }
    entries = [f"-D{name}={value}" for name, value in defined.items()]
    cmake = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(build), *entries]
    for words in (cmake, ["cmake", "--build", str(build)]):
        done = process.capture(words)
        assert done.code == 0, done.text + done.error_text
    made = [
        file for file in build.rglob("*") if file.suffix in {".o", ".so"} and "CompilerId" not in str(file)
    ]
    return {
        file.relative_to(build).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in made
        if "CMakeScratch" not in str(file)
    }


@pytest.mark.parametrize("same", [True, False])
def test_two_folders(tmp_path: Path, *, same: bool) -> None:
    first = built(tmp_path / "a", same=same)
    second = built(tmp_path / "another" / "folder_with_a_longer_name", same=same)
    assert len(first) == 4
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] == second[name]} == (set(first) if same else set())


def test_nothing_of_the_folder_is_left(tmp_path: Path) -> None:
    built(tmp_path / "a", same=True)
    for file in (tmp_path / "a" / "build").rglob("*.o"):
        if "CMakeFiles/small.dir" in file.as_posix():
            assert str(tmp_path).encode() not in file.read_bytes(), file
