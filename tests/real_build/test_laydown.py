"""NVIDIA's and torch's real wheels: the pins hold, and what is laid down compiles."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from winvllm_build import process
from winvllm_build.choices import TorchSource
from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain import cuda_wheels, torch_headers
from winvllm_build.toolchain.cuda import CudaOrigin
from winvllm_build.toolchain.cuda_search import Places
from winvllm_build.toolchain.cuda_wheels import read_pins
from winvllm_build.toolchain.host import read_limits
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.system import this_system
from winvllm_build.toolchain.toolchain import Toolchain, discover
from winvllm_build.toolchain.torch import CONFIG
from winvllm_build.toolchain.torch_cpu import enable_cuda
from winvllm_build.toolchain.torch_shim import write_shim
from winvllm_build.workspace import Workspace

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(sys.platform != "linux", reason="runs on Linux"),
]
TAG = ToolchainRequest(architectures=("8.6",), torch_version="2.9.1")
KERNEL = """\
#include <cuda_bf16.h>
#include <cuda/std/array>
#include <cublas_v2.h>
#include <cusparse.h>
#include <cusolverDn.h>
#include <curand_kernel.h>
#include <nvtx3/nvToolsExt.h>
__global__ void twice(__nv_bfloat16* values) { values[threadIdx.x] = values[threadIdx.x] + values[0]; }
"""
EXTENSION = """\
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAGuard.h>
int device() { return at::cuda::current_device(); }
"""
PROJECT = """\
cmake_minimum_required(VERSION 3.26)
project(probe LANGUAGES CXX)
find_package(Torch REQUIRED)
add_library(probe MODULE kernel.cu)
target_link_libraries(probe PRIVATE torch ${TORCH_LIBRARIES} CUDA::cuda_driver CUDA::cublas CUDA::cudart)
"""


def toolchain(cache: Path, *, hidden: bool) -> Toolchain:
    """The toolchain of a machine with its toolkits, or with all of them hidden."""
    workspace = Workspace(root=cache / "toolchain")
    machine = dict(os.environ)
    if hidden:
        folders = machine["PATH"].split(os.pathsep)
        machine["PATH"] = os.pathsep.join(f for f in folders if not (Path(f) / "nvcc").exists())
        for name in [name for name in machine if name.startswith("CUDA_")]:
            del machine[name]
    said: list[str] = []
    return discover(
        ToolchainRequest(
            architectures=("8.6",),
            cuda_version=SpecifierSet(">=12.6"),
            python_version=SpecifierSet(">=3.10,<3.14"),
            torch_version="2.9.1",
            torch_source=TorchSource.HEADERS,
        ),
        workspace=workspace,
        index=Index(workspace, on_event=said.append),
        on_event=said.append,
        environment=machine,
        places=Places(environment=machine) if hidden else None,
    )


@pytest.fixture(scope="session")
def laid_down(test_cache: Path) -> Toolchain:
    return toolchain(test_cache, hidden=True)


@pytest.mark.parametrize("system", list(PlatformTag))
def test_the_pins_are_those_of_the_index(system: PlatformTag, tmp_path: Path) -> None:
    index = Index(Workspace(root=tmp_path), on_event=lambda _: None)
    pins = cuda_wheels.read_pins(system)
    found = {
        pin.project: index.record_sha256(pin.project, pin.version, platform=system) for pin in pins.wheels
    }
    assert found == {pin.project: pin.record for pin in pins.wheels}
    torch = torch_headers.read_pin(TAG, system)
    assert index.record_sha256("torch", "2.9.1", platform=system, python=torch.python) == torch.record


def test_torchs_headers_are_the_same_for_every_python(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path)
    index = Index(workspace, on_event=lambda _: None)
    pin = torch_headers.read_pin(TAG, PlatformTag.LINUX_X86_64)
    contents = []
    for python in (pin.python, "3.10"):
        record = index.record_sha256("torch", pin.version, platform=pin.system, python=python)
        folder = index.members(
            "torch",
            pin.version,
            wanted=lambda name: name.startswith(("torch/include/c10/", "torch/include/ATen/cuda/")),
            record_sha256=record,
            into=tmp_path / python,
            platform=pin.system,
            python=python,
        )
        files = [path for path in folder.rglob("*") if path.is_file()]
        contents.append({str(path.relative_to(folder)): path.read_bytes() for path in files})
    assert contents[0] == contents[1]
    assert len(contents[0]) > 100


def test_the_windows_wheels_cmake_files_can_be_switched_to_cuda(tmp_path: Path) -> None:
    pin = torch_headers.read_pin(TAG, PlatformTag.WINDOWS_AMD64)
    folder = Index(Workspace(root=tmp_path), on_event=lambda _: None).members(
        "torch",
        pin.version,
        wanted=lambda name: torch_headers.wanted(name) and "/include/" not in name,
        record_sha256=pin.record,
        into=tmp_path / "wheel",
        platform=pin.system,
        python=pin.python,
    )
    package = folder / "torch"
    enable_cuda(package)
    assert "set(CAFFE2_USE_CUDA ON)" in (package / "share/cmake/Caffe2/Caffe2Config.cmake").read_text("utf-8")
    assert "if(0)" not in (package / CONFIG).read_text("utf-8")
    write_shim(package, (package / "utils/cpp_extension.py").read_text("utf-8"))
    assert {"torch.lib", "torch_cpu.lib", "c10.lib"} <= {path.name for path in (package / "lib").iterdir()}
    assert not list(folder.rglob("*.dll"))


def test_a_toolkit_is_laid_down_and_found_again(laid_down: Toolchain, test_cache: Path) -> None:
    assert laid_down.cuda.origin is CudaOrigin.LAID_DOWN
    assert "8.6" in laid_down.cuda.architectures
    assert str(laid_down.cuda.home).startswith(str(test_cache))
    assert laid_down.cuda.problems == ()
    again = toolchain(test_cache, hidden=True)
    assert again.cuda == laid_down.cuda
    assert again.torch == laid_down.torch


def test_what_is_pinned_of_its_compiler_is_what_it_says(laid_down: Toolchain) -> None:
    pins = read_pins(this_system())
    assert laid_down.cuda.architectures == pins.architectures
    assert read_limits(laid_down.cuda.home) == pins.limits


@pytest.mark.nvcc
def test_the_laid_down_compiler_compiles_for_sm_86(laid_down: Toolchain, tmp_path: Path) -> None:
    (tmp_path / "kernel.cu").write_text(KERNEL, encoding="utf-8")
    cuda = laid_down.cuda
    done = process.capture(
        [cuda.nvcc, "-c", "-gencode", "arch=compute_86,code=sm_86", "kernel.cu", "-o", "kernel.o"],
        cwd=tmp_path,
        env=laid_down.environment,
    )
    assert done.error_text == ""
    assert done.code == 0
    assert b"sm_86" in (tmp_path / "kernel.o").read_bytes()


@pytest.mark.nvcc
@pytest.mark.parametrize("hidden", [True, False], ids=["laid down", "installed"])
def test_torchs_cmake_takes_all_of_it(test_cache: Path, tmp_path: Path, *, hidden: bool) -> None:
    if not hidden and shutil.which("nvcc") is None:
        pytest.skip("no CUDA toolkit is installed")
    found = toolchain(test_cache, hidden=hidden)
    (tmp_path / "kernel.cu").write_text(KERNEL, encoding="utf-8")
    (tmp_path / "CMakeLists.txt").write_text(PROJECT, encoding="utf-8")
    prefix = process.capture(
        [found.python.executable, "-c", "import torch; print(torch.utils.cmake_prefix_path)"],
        env=found.environment,
    )
    definitions = [f"-D{name}={value}" for name, value in found.cmake_definitions().items()]
    build = tmp_path / "build"
    configured = process.capture(
        [
            found.cmake, "-G", "Ninja", "-S", tmp_path, "-B", build,
            f"-DCMAKE_PREFIX_PATH={prefix.text.strip()}", f"-DCMAKE_MAKE_PROGRAM={found.ninja}", *definitions,
        ],
        env=found.environment,
    )  # fmt: skip
    assert configured.code == 0, configured.error_text
    built = process.capture([found.ninja, "-C", build], env=found.environment)
    assert built.code == 0, built.text
    assert b"libtorch_cuda.so" in (build / "libprobe.so").read_bytes()


@pytest.mark.nvcc
def test_the_headers_compile_against_the_toolkit(laid_down: Toolchain, tmp_path: Path) -> None:
    (tmp_path / "extension.cpp").write_text(EXTENSION, encoding="utf-8")
    include = laid_down.torch.package / "include"
    done = process.capture(
        [laid_down.host.cxx, "-std=c++17", "-fsyntax-only", "-isystem", include, "-isystem",
         laid_down.cuda.home / "include", tmp_path / "extension.cpp"],
        env=laid_down.environment,
    )  # fmt: skip
    assert done.code == 0, done.error_text
