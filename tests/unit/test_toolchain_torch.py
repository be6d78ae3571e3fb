"""Torch: what is installed, what its headers give, and the stand-in that answers upstream's questions."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build import process
from winvllm_build.choices import TorchOrigin
from winvllm_build.errors import OfflineError, ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain import torch, torch_headers
from winvllm_build.toolchain.host import HostCompiler, ask_gnu
from winvllm_build.toolchain.python import TargetPython
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.torch import Torch
from winvllm_build.toolchain.torch_cpu import enable_cuda
from winvllm_build.toolchain.torch_shim import parse_flags, write_shim
from winvllm_build.toolchain.torch_version import TorchVersion, parse_version_file
from winvllm_build.workspace import Workspace

LINUX = PlatformTag.LINUX_X86_64
VERSION_FILE = """\
from typing import Optional

__all__ = ['__version__', 'cuda', 'hip']
__version__ = '{version}'
debug = False
cuda: Optional[str] = {cuda!r}
hip: Optional[str] = None
"""
EXTENSION = "import os\nCOMMON_NVCC_FLAGS = [\n    '-D__CUDA_NO_HALF__',\n    '--expt-relaxed-constexpr'\n]\n"
CPU_CAFFE2 = """\
if(OFF)
endif()
if(0)
  set(CAFFE2_USE_CUDA 0)
  if( AND NOT CAFFE2_USE_CUDA)
  endif()
endif()
"""
TARGETS = (
    'set_target_properties(c10 PROPERTIES IMPORTED_LOCATION_RELEASE "${_IMPORT_PREFIX}/lib/libc10.so")\n'
    'list(APPEND check "${_IMPORT_PREFIX}/lib/libtorch_cuda.so" "${_IMPORT_PREFIX}/lib/libtorch.so")\n'
)
REQUEST = ToolchainRequest(architectures=("8.6",), torch_version="2.9.1")


def installed(folder: Path, *, version: str = "2.9.1+cu130", cuda: str | None = "13.0") -> TargetPython:
    package = folder / "torch"
    (package / "share/cmake/Torch").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('never imported')", encoding="utf-8")
    (package / "version.py").write_text(VERSION_FILE.format(version=version, cuda=cuda), encoding="utf-8")
    (package / torch.CONFIG).write_text("# config", encoding="utf-8")
    return interpreter(package / "__init__.py")


def interpreter(module: Path | None) -> TargetPython:
    return TargetPython(
        executable=Path(sys.executable),
        version=Version("3.11.7"),
        include=Path("/include"),
        library=None,
        sites=(),
        torch=module,
    )


def wheel_files(*, cuda: str | None = "12.8") -> dict[str, str]:
    local = "cpu" if cuda is None else f"cu{cuda.replace('.', '')}"
    return {
        "torch/include/ATen/ATen.h": "#pragma once\n",
        "torch/share/cmake/Torch/TorchConfig.cmake": "if(0)\n  find_package(Caffe2)\nendif()\n",
        "torch/share/cmake/Caffe2/Caffe2Config.cmake": CPU_CAFFE2,
        "torch/share/cmake/Caffe2/Caffe2Targets-release.cmake": TARGETS,
        "torch/version.py": VERSION_FILE.format(version=f"2.9.1+{local}", cuda=cuda),
        "torch/utils/cpp_extension.py": EXTENSION,
        "torch/nn/__init__.py": "import nothing",
        "torch/lib/libtorch_cuda.so": "not wanted",
    }


@pytest.fixture(scope="module")
def compiler() -> HostCompiler:
    return ask_gnu(fakes.real_compiler("g++"))


def test_a_version_file_is_read_and_not_run() -> None:
    found = parse_version_file(VERSION_FILE.format(version="2.9.1+cu128", cuda="12.8"))
    assert found == TorchVersion(version="2.9.1+cu128", cuda="12.8", hip=None)
    assert parse_version_file("__version__ = compute()") is None
    assert parse_version_file("def (") is None


@pytest.mark.parametrize(
    ("found", "same"), [("2.9.1+cu128", True), ("2.9.1", True), ("2.9.10", False), ("?", False)]
)
def test_the_local_part_of_a_version_does_not_matter(found: str, same: bool) -> None:  # noqa: FBT001
    assert torch.fits(found, REQUEST) is same


def test_an_installed_cuda_build_is_taken_without_importing_it(tmp_path: Path) -> None:
    found = torch.find_installed(installed(tmp_path), REQUEST)
    assert isinstance(found, Torch)
    assert found.origin is TorchOrigin.INSTALLED
    assert found.runs
    assert found.cuda == "13.0"
    assert found.import_path is None


@pytest.mark.parametrize(
    ("version", "cuda", "reason"),
    [("2.10.0+cu130", "13.0", "this tag needs 2.9.1"), ("2.9.1+cpu", None, "without CUDA")],
)
def test_why_an_installed_torch_does_not_do(
    tmp_path: Path, version: str, cuda: str | None, reason: str
) -> None:
    found = torch.find_installed(installed(tmp_path, version=version, cuda=cuda), REQUEST)
    assert isinstance(found, str)
    assert reason in found


def test_no_torch_at_all() -> None:
    assert "has no torch" in str(torch.find_installed(interpreter(None), REQUEST))


def test_a_cpu_build_of_the_right_version_gives_its_headers(tmp_path: Path) -> None:
    python = installed(tmp_path, version="2.9.1+cpu", cuda=None)
    assert torch.fitting_package(python, REQUEST) == tmp_path / "torch"
    other = ToolchainRequest(architectures=("8.6",), torch_version="2.10.0")
    assert torch.fitting_package(python, other) is None


def test_only_an_installed_cuda_torch_binds_the_toolkit(tmp_path: Path) -> None:
    found = torch.find_installed(installed(tmp_path, version="2.9.1+cu128", cuda="12.8"), REQUEST)
    assert isinstance(found, Torch)
    assert found.cuda_major == 12
    assert replace(found, origin=TorchOrigin.HEADERS).cuda_major is None


@pytest.mark.parametrize(
    ("fits", "version", "said"),
    [
        (">=2.9,<2.11", "2.10.0+cu130", None),
        ("==2.9.1", "2.9.1+cu130", None),
        ("==2.10.*", "2.9.1+cu130", "the profile asks for ==2.10.*|torch.version"),
        (None, "2.10.0+cu130", "this tag needs 2.9.1"),
    ],
)
def test_torch_version_selects_the_installed_torch(
    tmp_path: Path, fits: str | None, version: str, said: str | None
) -> None:
    asked = replace(REQUEST, torch_fits=None if fits is None else SpecifierSet(fits))
    found = torch.find_installed(installed(tmp_path, version=version), asked)
    assert isinstance(found, Torch) is (said is None)
    assert said is None or all(part in str(found) for part in said.removeprefix("the ").split("|"))


def test_torch_version_selects_the_wheel_of_the_headers() -> None:
    asked = replace(REQUEST, torch_version="2.8.0")
    fits = SpecifierSet(">=2.9,<2.11")
    assert torch_headers.read_pin(replace(asked, torch_fits=fits), LINUX).version == "2.10.0"
    with pytest.raises(ToolchainError, match=r"no wheel of torch 2\.8\.0"):
        torch_headers.read_pin(asked, LINUX)


def test_the_flags_are_read_from_the_wheels_own_text() -> None:
    assert parse_flags(EXTENSION) == ["-D__CUDA_NO_HALF__", "--expt-relaxed-constexpr"]
    with pytest.raises(ToolchainError, match="no list COMMON_NVCC_FLAGS"):
        parse_flags("OTHER_FLAGS = []")


def test_the_stand_in_answers_what_upstream_asks(tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "version.py").write_text(VERSION_FILE.format(version="2.9.1", cuda="12.8"), encoding="utf-8")
    write_shim(package, EXTENSION)
    code = (
        "import torch; print(torch.utils.cmake_prefix_path)\n"
        "from torch.utils.cpp_extension import COMMON_NVCC_FLAGS, CUDA_HOME, ROCM_HOME\n"
        "print(';'.join(COMMON_NVCC_FLAGS)); print(CUDA_HOME, ROCM_HOME)\n"
        "print(torch.__version__, torch.version.cuda, torch.version.hip)\n"
    )
    environment = {"PYTHONPATH": str(tmp_path), "CUDA_HOME": "/cuda", "PATH": "/usr/bin:/bin"}
    done = process.capture([sys.executable, "-c", code], env=environment)
    assert done.error_text == ""
    assert done.text.splitlines() == [
        str(package / "share" / "cmake"),
        "-D__CUDA_NO_HALF__;--expt-relaxed-constexpr",
        "/cuda None",
        "2.9.1 12.8 None",
    ]


def test_pins_of_both_systems() -> None:
    assert torch_headers.read_pin(REQUEST, LINUX).cuda_build
    assert not torch_headers.read_pin(REQUEST, PlatformTag.WINDOWS_AMD64).cuda_build
    with pytest.raises(ToolchainError, match=r"no wheel of torch 1\.0 .*pinned: 2\.9\.1") as caught:
        torch_headers.read_pin(replace(REQUEST, torch_version="1.0"), LINUX)
    assert caught.value.fix is not None


@pytest.mark.parametrize(
    ("member", "wanted"),
    [
        ("torch/include/ATen/ATen.h", True),
        ("torch/share/cmake/Torch/TorchConfig.cmake", True),
        ("torch/version.py", True),
        ("torch/lib/torch_cpu.lib", True),
        ("torch/lib/torch_cpu.dll", False),
        ("torch/lib/libtorch_cuda.so", False),
        ("torch/nn/modules/linear.py", False),
        ("torch-2.9.1.dist-info/licenses/LICENSE", True),
        ("torch-2.9.1.dist-info/RECORD", False),
    ],
)
def test_what_is_taken_of_a_wheel(member: str, wanted: bool) -> None:  # noqa: FBT001 - a table
    assert torch_headers.wanted(member) is wanted


def lay_down(
    tmp_path: Path, compiler: HostCompiler, index: fakes.FakeIndex, *, from_package: Path | None = None
) -> Torch:
    return torch_headers.lay_down(
        torch_headers.read_pin(REQUEST, LINUX),
        host=compiler,
        because="a test",
        installed=from_package,
        workspace=Workspace(root=tmp_path),
        index=index,
        on_event=lambda _: None,
    )


def test_headers_are_laid_down_once(tmp_path: Path, compiler: HostCompiler) -> None:
    index = fakes.FakeIndex(workspace=Workspace(root=tmp_path), held={"torch": wheel_files()})
    found = lay_down(tmp_path, compiler, index)
    assert found.origin is TorchOrigin.HEADERS
    assert not found.runs
    assert (found.version, found.cuda, found.cxx11_abi) == ("2.9.1+cu128", "12.8", True)
    assert found.import_path == found.package.parent
    names = {path.name for path in (found.package / "lib").iterdir()}
    assert {"libc10.so", "libtorch.so", "libtorch_cuda.so", "libc10_cuda.so"} <= names
    assert not (found.package / "nn").exists()
    assert sorted(path.name for path in found.package.parent.iterdir()) == ["jinja2", "markupsafe", "torch"]
    assert lay_down(tmp_path, compiler, index) == found
    assert index.asked == ["torch"]


def test_a_cpu_wheel_is_switched_to_cuda(tmp_path: Path, compiler: HostCompiler) -> None:
    index = fakes.FakeIndex(workspace=Workspace(root=tmp_path), held={"torch": wheel_files(cuda=None)})
    package = lay_down(tmp_path, compiler, index).package
    assert "if(ON)" in (package / torch.CONFIG).read_text(encoding="utf-8")
    assert (package / "include/ATen/cuda/CUDAConfig.h").is_file()
    assert (package / "include/c10/cuda/impl/cuda_cmake_macros.h").is_file()


def test_offline_an_installed_cpu_torch_lends_its_headers(tmp_path: Path, compiler: HostCompiler) -> None:
    index = fakes.FakeIndex(workspace=Workspace(root=tmp_path / "w"), held={}, breaks_at="torch")
    with pytest.raises(OfflineError):
        lay_down(tmp_path / "w", compiler, index)
    for name, text in wheel_files(cuda=None).items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(text, encoding="utf-8")
    before = sorted(str(path) for path in (tmp_path / "site").rglob("*"))
    found = lay_down(tmp_path / "w", compiler, index, from_package=tmp_path / "site" / "torch")
    assert found.origin is TorchOrigin.HEADERS
    assert (found.package / "include/ATen/ATen.h").is_file()
    assert sorted(str(path) for path in (tmp_path / "site").rglob("*")) == before


def test_only_cuda_is_switched_on(tmp_path: Path) -> None:
    for name in ("share/cmake/Caffe2/Caffe2Config.cmake", torch.CONFIG):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(CPU_CAFFE2.replace("\n", "\r\n").encode())
    enable_cuda(tmp_path)
    text = (tmp_path / "share/cmake/Caffe2/Caffe2Config.cmake").read_text(encoding="utf-8")
    assert text.splitlines() == [
        "if(OFF)",
        "endif()",
        "if(ON)",
        "  set(CAFFE2_USE_CUDA ON)",
        "  if(ON AND NOT CAFFE2_USE_CUDA)",
        "  endif()",
        "endif()",
    ]


def test_unknown_cmake_files_are_refused(tmp_path: Path) -> None:
    for name in ("share/cmake/Caffe2/Caffe2Config.cmake", torch.CONFIG):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# something else\n", encoding="utf-8")
    with pytest.raises(ToolchainError, match="laid out differently"):
        enable_cuda(tmp_path)
