"""What CMake and the compilers see of this machine's environment, and what they do not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from winvllm_build import process
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.buildtools import find_cmake, find_ninja
from winvllm_build.toolchain.cuda import CudaOrigin, CudaToolkit
from winvllm_build.toolchain.environment import allowed, build_environment, joined_path
from winvllm_build.toolchain.host import HostCompiler, HostKind
from winvllm_build.toolchain.python import TargetPython
from winvllm_build.toolchain.request import ToolchainRequest

LINUX, WINDOWS = PlatformTag.LINUX_X86_64, PlatformTag.WINDOWS_AMD64
CUDA = CudaToolkit(
    home=Path("/opt/cuda"),
    nvcc=Path("/opt/cuda/bin/nvcc"),
    version=Version("13.0.88"),
    architectures=("8.6",),
    origin=CudaOrigin.INSTALLED,
    named_by="a test",
)
GCC = HostCompiler(
    kind=HostKind.GCC,
    cxx=Path("/usr/bin/g++"),
    c=Path("/usr/bin/gcc"),
    version=Version("12"),
    librarian=Path("/usr/bin/g++"),
)
PYTHON = TargetPython(
    executable=Path("/venv/bin/python"),
    version=Version("3.11"),
    include=Path("/include"),
    library=None,
    sites=(),
    torch=None,
)


def environment(
    base: dict[str, str],
    *,
    host: HostCompiler = GCC,
    extra: dict[str, str] | None = None,
    system: PlatformTag = LINUX,
) -> dict[str, str]:
    request = ToolchainRequest(
        architectures=("8.6", "12.0+PTX"), torch_version="2.9.1", environment=extra or {}
    )
    return build_environment(
        base,
        request,
        cuda=CUDA,
        host=host,
        python=PYTHON,
        tools=(Path("/tools/cmake"), Path("/tools/ninja")),
        python_path=(Path("/shim"),),
        system=system,
    )


@pytest.mark.parametrize(
    "name",
    [
        "GH_TOKEN", "GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "PIP_INDEX_URL", "CUDA_HOME",
        "CMAKE_CXX_COMPILER_LAUNCHER", "CMAKE_GENERATOR", "CMAKE_PREFIX_PATH",
        "CXXFLAGS", "CUDAFLAGS", "LDFLAGS",
        "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "PYTHONPATH", "PYTHONHOME", "CPATH",
        "LIBRARY_PATH",
        "TORCH_CUDA_ARCH_LIST", "MAX_JOBS", "VLLM_TARGET_DEVICE",
        "SCCACHE_BUCKET", "CUDAHOSTCXX", "CL", "_CL_",
    ],
)  # fmt: skip
def test_what_stays_outside(name: str) -> None:
    assert allowed({name: "x", name.lower(): "x"}) == {}


@pytest.mark.parametrize(
    "name", ["PATH", "Path", "SystemRoot", "ProgramFiles(x86)", "TEMP", "HOME", "LC_ALL"]
)
def test_what_programs_need_gets_in(name: str) -> None:
    assert allowed({name: "x"}) == {name: "x"}


def test_the_toolchain_comes_first_on_path() -> None:
    found = environment({"PATH": os.pathsep.join(["/usr/lib/ccache", "/usr/bin", "/bin"]), "HOME": "/home/a"})
    assert found["PATH"].split(os.pathsep) == ["/opt/cuda/bin", "/tools", "/venv/bin", "/usr/bin", "/bin"]
    assert found == {
        "CC": "/usr/bin/gcc",
        "CUDAHOSTCXX": "/usr/bin/g++",
        "CUDA_HOME": "/opt/cuda",
        "CUDA_PATH": "/opt/cuda",
        "CXX": "/usr/bin/g++",
        "HOME": "/home/a",
        "PATH": found["PATH"],
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/shim",
        "TORCH_CUDA_ARCH_LIST": "8.6;12.0+PTX",
    }


def test_the_profiles_own_variables_win() -> None:
    found = environment({"PATH": "/bin"}, extra={"CUDA_HOME": "/mine", "EXTRA": "1"})
    assert (found["CUDA_HOME"], found["EXTRA"]) == ("/mine", "1")


@pytest.mark.skipif(sys.platform != "linux", reason="the compiler of this host is g++")
def test_the_profiles_flags_reach_the_compiler(tmp_path: Path) -> None:
    flags = {"CXXFLAGS": "-DFROM_PROFILE"}
    seen = environment({"PATH": os.environ["PATH"]}, extra=flags)
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.26)\nproject(flags CXX)\n")
    cmake, ninja = find_cmake(seen, LINUX).path, find_ninja(seen, LINUX).path
    done = process.capture(
        [cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-S", tmp_path, "-B", tmp_path / "build"],
        env=seen,
        timeout=60.0,
    )
    assert done.code == 0, done.error_text
    assert "CMAKE_CXX_FLAGS:STRING=-DFROM_PROFILE\n" in (tmp_path / "build/CMakeCache.txt").read_text()


def test_msvc_brings_its_own_environment_and_no_cudahostcxx() -> None:
    cl = HostCompiler(
        kind=HostKind.MSVC,
        cxx=Path("/vs/cl.exe"),
        c=Path("/vs/cl.exe"),
        version=Version("19.44"),
        librarian=Path("/vs/lib.exe"),
        environment={"Path": "/vs", "INCLUDE": "/sdk", "LIB": "/lib"},
    )
    found = environment({"PATH": "/unseen"}, host=cl, system=WINDOWS)
    assert found["INCLUDE"] == "/sdk"
    assert "PATH" not in found
    assert found["Path"].split(os.pathsep)[0] == "/opt/cuda/bin"
    assert found["Path"].split(os.pathsep)[-1] == "/vs"
    assert "CUDAHOSTCXX" not in found
    assert "CXX" not in found


def test_each_folder_is_on_path_once() -> None:
    assert joined_path([Path("/a"), Path("/b"), Path("/a")], os.pathsep.join(["/b", "", "/c"])).split(
        os.pathsep
    ) == ["/a", "/b", "/c"]
