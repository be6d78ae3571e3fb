"""A toolkit from wheels: pins, choice of files, fix-ups, and runs that were killed in between."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build import process
from winvllm_build.errors import OfflineError, StorageError
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain import cuda_overlay, cuda_wheels, stubs
from winvllm_build.toolchain.cuda import CudaOrigin, CudaToolkit
from winvllm_build.toolchain.cuda_wheels import Role, ToolkitPins
from winvllm_build.toolchain.host import HostCompiler, ask_gnu
from winvllm_build.workspace import Workspace

LINUX, WINDOWS = PlatformTag.LINUX_X86_64, PlatformTag.WINDOWS_AMD64
EXTRA = {
    "nvidia-cuda-nvcc": ["bin/nvcc", "bin/crt/link.stub"],
    "nvidia-nvvm": ["nvvm/bin/cicc", "lib/libnvvm.so.4"],
    "nvidia-cuda-runtime": ["lib/libcudart.so.13", "lib/libcudart_static.a"],
    "nvidia-cublas": ["include/cublas_api.h", "lib/libcublas.so.13"],
}


@pytest.fixture
def pins() -> ToolkitPins:
    return cuda_wheels.read_pins(LINUX)


@pytest.fixture
def index(tmp_path: Path, pins: ToolkitPins) -> fakes.FakeIndex:
    files = {
        pin.project: {
            f"nvidia/cu13/{name}": f"{pin.project} {name}"
            for name in (pin.marker, *EXTRA.get(pin.project, ()))
        }
        | {f"{pin.project}-1.dist-info/licenses/License.txt": "EULA"}
        for pin in pins.wheels
    }
    return fakes.FakeIndex(workspace=Workspace(root=tmp_path), held=files)


def lay_down(pins: ToolkitPins, index: fakes.FakeIndex) -> Path:
    return cuda_wheels.lay_down(pins, workspace=index.workspace, index=index, on_event=lambda _: None)


@pytest.mark.parametrize("system", [LINUX, WINDOWS])
def test_the_shipped_pins(system: PlatformTag) -> None:
    pins = cuda_wheels.read_pins(system)
    assert pins.version == Version("13.0.88")
    assert {pin.project for pin in pins.wheels if pin.role is Role.COMPILER} == {
        "nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt", "nvidia-cuda-runtime", "nvidia-cuda-cccl",
    }  # fmt: skip
    assert all(len(bytes.fromhex(pin.record)) == 32 for pin in pins.wheels)
    assert len({pin.record for pin in pins.wheels}) == len(pins.wheels)


def test_the_two_systems_have_other_pins() -> None:
    one, other = cuda_wheels.read_pins(LINUX), cuda_wheels.read_pins(WINDOWS)
    assert one.identity != other.identity
    assert one.folder_name != other.folder_name


@pytest.mark.parametrize(
    ("project", "member", "wanted"),
    [
        ("nvidia-nvvm", "nvidia/cu13/nvvm/bin/cicc", True),
        ("nvidia-nvvm", "nvidia/cu13/lib/libnvvm.so.4", False),
        ("nvidia-cublas", "nvidia/cu13/include/cublas_v2.h", True),
        ("nvidia-cublas", "nvidia/cu13/lib/libcublasLt.so.13", False),
        ("nvidia-cublas", "nvidia_cublas-13.1.0.3.dist-info/licenses/License.txt", True),
        ("nvidia-cuda-cccl", "nvidia/cu13/include/cccl/cuda/std/array", True),
        ("nvidia-cuda-cccl", "nvidia/cu13/.metadata/provenance.txt", False),
    ],
)
def test_what_is_taken_of_a_wheel(pins: ToolkitPins, project: str, member: str, wanted: bool) -> None:  # noqa: FBT001
    pin = next(pin for pin in pins.wheels if pin.project == project)
    assert pin.wants(member) is wanted


def test_a_toolkit_is_laid_down_once(pins: ToolkitPins, index: fakes.FakeIndex) -> None:
    home = lay_down(pins, index)
    assert (home / "lib64" / "libcudart.so").read_text(encoding="utf-8").startswith("nvidia-cuda-runtime")
    assert (home / "bin" / "nvcc").stat().st_mode & 0o111
    assert (home / "nvvm" / "bin" / "cicc").stat().st_mode & 0o111
    assert not (home / "lib" / "libnvvm.so.4").exists()
    assert (home / "licenses" / "nvidia-cublas" / "License.txt").read_text(encoding="utf-8") == "EULA"
    assert len(index.asked) == len(pins.wheels)
    assert lay_down(pins, index) == home
    assert len(index.asked) == len(pins.wheels)
    assert not [path for path in (home.parent / ".parts").iterdir() if path.is_dir()]


def test_an_interrupted_run_goes_on_with_the_wheels_it_had(pins: ToolkitPins, index: fakes.FakeIndex) -> None:
    index.breaks_at = "nvidia-cublas"
    with pytest.raises(OfflineError):
        lay_down(pins, index)
    had = list(index.asked)
    assert "nvidia-cuda-nvcc" in had
    assert not (index.workspace.toolchains / pins.folder_name).exists()
    index.breaks_at = None
    home = lay_down(pins, index)
    assert cuda_wheels.is_complete(home, pins)
    assert len(index.asked) == len(pins.wheels)


@pytest.mark.parametrize("torn", ["marker", "compiler", "other pins", "staging"])
def test_a_torn_toolkit_is_made_again(pins: ToolkitPins, index: fakes.FakeIndex, torn: str) -> None:
    home = lay_down(pins, index)
    if torn == "marker":
        (home / cuda_wheels.COMPLETE).unlink()
    elif torn == "compiler":
        (home / "bin" / "nvcc.profile").unlink()
    elif torn == "other pins":
        (home / cuda_wheels.COMPLETE).write_text('{"pins": "0123456789ab"}', encoding="ascii")
    else:
        home.rename(home.with_name(f".{home.name}.x1.part"))
    (home.parent / f".{home.name}.dead.part").mkdir(exist_ok=True)
    assert lay_down(pins, index) == home
    assert cuda_wheels.is_complete(home, pins)
    assert not list(home.parent.glob(".*.part"))


KILLED = """
import os, signal
from pathlib import Path
from tests import toolchain_fakes as fakes
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain import cuda_wheels, files
from winvllm_build.workspace import Workspace

calls = iter(range({calls}))
def link_or_copy(source, target):
    if next(calls, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    files.link_or_copy(source, target)
cuda_wheels.link_or_copy = link_or_copy
pins = cuda_wheels.read_pins(PlatformTag.LINUX_X86_64)
names = lambda pin: ("nvidia/cu13/" + pin.marker, "nvidia/cu13/lib/libcudart.so.1")
content = {{pin.project: dict.fromkeys(names(pin), "x") for pin in pins.wheels}}
workspace = Workspace(root=Path({root!r}))
index = fakes.FakeIndex(workspace=workspace, held=content)
cuda_wheels.lay_down(pins, workspace=workspace, index=index, on_event=lambda _: None)
"""


@pytest.mark.parametrize("calls", [0, 4, 9])
def test_a_run_killed_while_files_are_put_in_place_leaves_nothing(
    tmp_path: Path, checkout: Path, pins: ToolkitPins, index: fakes.FakeIndex, calls: int
) -> None:
    code = KILLED.format(calls=calls, root=str(tmp_path))
    done = process.capture([sys.executable, "-c", code], cwd=checkout, env={**os.environ, "PYTHONPATH": "."})
    assert done.code == -9, done.error_text
    assert not (index.workspace.toolchains / pins.folder_name).exists()
    home = lay_down(pins, index)
    assert cuda_wheels.is_complete(home, pins)
    assert not list(home.parent.glob(".*.part"))


def test_a_full_disk_is_one_clear_error(
    pins: ToolkitPins, index: fakes.FakeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(cuda_wheels, "link_or_copy", full)
        with pytest.raises(StorageError, match="the disk is full"):
            lay_down(pins, index)
    assert not (index.workspace.toolchains / pins.folder_name).exists()
    assert cuda_wheels.is_complete(lay_down(pins, index), pins)


def test_windows_gets_no_links(index: fakes.FakeIndex) -> None:
    home = lay_down(cuda_wheels.read_pins(WINDOWS), index)
    assert not (home / "lib64").exists()
    assert not [path for path in home.rglob("*") if path.is_symlink()]


@pytest.fixture(scope="module")
def compiler() -> HostCompiler:
    return ask_gnu(fakes.real_compiler("g++"))


def toolkit(home: Path, version: str = "13.0.88") -> CudaToolkit:
    return CudaToolkit(
        home=home,
        nvcc=fakes.nvcc(home),
        version=Version(version),
        architectures=("8.6",),
        origin=CudaOrigin.INSTALLED,
        named_by="a test",
    )


def completed(
    installed: CudaToolkit, pins: ToolkitPins, index: fakes.FakeIndex, host: HostCompiler
) -> CudaToolkit:
    return cuda_overlay.complete(
        installed, pins=pins, host=host, workspace=index.workspace, index=index, on_event=lambda _: None
    )


def test_an_installed_toolkit_is_completed_beside_itself(
    tmp_path: Path, pins: ToolkitPins, index: fakes.FakeIndex, compiler: HostCompiler
) -> None:
    installed = toolkit(tmp_path / "cuda")
    before = sorted(str(path) for path in installed.home.rglob("*"))
    found = completed(installed, pins, index, compiler)
    (include,) = found.include_dirs
    assert (include / "cublas_v2.h").is_file()
    assert set(found.libraries) == {
        "CUDA_cuda_driver_LIBRARY", "CUDA_nvrtc_LIBRARY", "CUDA_cublas_LIBRARY", "CUDA_cublasLt_LIBRARY",
    }  # fmt: skip
    assert b"libcuda.so.1" in found.libraries["CUDA_cuda_driver_LIBRARY"].read_bytes()
    assert b"libnvrtc.so.13" in found.libraries["CUDA_nvrtc_LIBRARY"].read_bytes()
    assert "nvidia-cuda-nvcc" not in index.asked
    assert sorted(str(path) for path in installed.home.rglob("*")) == before
    asked = list(index.asked)
    assert completed(installed, pins, index, compiler) == found
    assert index.asked == asked


def test_a_complete_toolkit_is_left_as_it_is(
    tmp_path: Path, pins: ToolkitPins, index: fakes.FakeIndex, compiler: HostCompiler
) -> None:
    installed = toolkit(tmp_path / "cuda")
    for pin in pins.wheels:
        (installed.home / pin.marker).parent.mkdir(parents=True, exist_ok=True)
        (installed.home / pin.marker).touch()
    for name in ("lib64/stubs/libcuda.so", "lib64/libnvrtc.so", "lib64/libcublas.so", "lib64/libcublasLt.so"):
        (installed.home / name).parent.mkdir(exist_ok=True)
        (installed.home / name).touch()
    assert completed(installed, pins, index, compiler) == installed
    assert index.asked == []


def test_another_major_version_is_not_completed_with_foreign_headers(
    tmp_path: Path, pins: ToolkitPins, index: fakes.FakeIndex, compiler: HostCompiler
) -> None:
    found = completed(toolkit(tmp_path / "cuda", "12.8.93"), pins, index, compiler)
    assert found.include_dirs == ()
    assert "lacks include/cublas_v2.h" in found.problems[0]
    assert b"libcublas.so.12" in found.libraries["CUDA_cublas_LIBRARY"].read_bytes()


def test_import_libraries_of_windows_list_what_the_headers_declare() -> None:
    header = (
        "cublasStatus_t CUBLASWINAPI cublasSgemm_v2(cublasHandle_t handle,\n"
        "                                           int m);\n"
        "CUBLASAPI const char* CUBLASWINAPI cublasGetStatusName(cublasStatus_t status);\n"
        "typedef struct cublasContext* cublasHandle_t;\n"
        "nvrtcResult nvrtcVersion(int *major, int *minor);\n"
    )
    names = stubs.declared_functions([header, header])
    assert names == ("cublasGetStatusName", "cublasSgemm_v2", "nvrtcVersion")
    stub = cuda_overlay.stub_of("cublas", toolkit_value(), names)
    assert stubs.definition_file(stub).splitlines() == [
        "LIBRARY cublas64_13.dll",
        "EXPORTS",
        "    cublasGetStatusName",
        "    cublasSgemm_v2",
        "    nvrtcVersion",
    ]
    assert cuda_overlay.stub_of("nvrtc", toolkit_value(), ()).dll == "nvrtc64_130_0.dll"
    assert cuda_overlay.stub_of("cuda", toolkit_value(), ()).dll == "nvcuda.dll"


def toolkit_value() -> CudaToolkit:
    return CudaToolkit(
        home=Path("/cuda"),
        nvcc=Path("/cuda/bin/nvcc"),
        version=Version("13.0.88"),
        architectures=(),
        origin=CudaOrigin.INSTALLED,
        named_by="a test",
    )
