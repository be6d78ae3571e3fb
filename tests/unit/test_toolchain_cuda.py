"""Which toolkit is taken, in which order they are looked at, and why the others are not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests import toolchain_fakes as fakes
from winvllm_build.choices import TorchOrigin
from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.registry import NoRegistry
from winvllm_build.toolchain import cuda, cuda_search
from winvllm_build.toolchain.cuda import Wanted
from winvllm_build.toolchain.cuda_search import Places
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.torch import Torch

LINUX, WINDOWS = PlatformTag.LINUX_X86_64, PlatformTag.WINDOWS_AMD64


def request(
    *, home: Path | None = None, version: str = "", architectures: tuple[str, ...] = ("8.6",)
) -> ToolchainRequest:
    return ToolchainRequest(
        cuda_home=home,
        cuda_version=SpecifierSet(version),
        architectures=architectures,
        torch_version="2.9.1",
    )


def wanted(*, home: Path | None = None, version: str = "", torch: Torch | None = None) -> Wanted:
    return Wanted(request=request(home=home, version=version), torch=torch)


def torch_of(cuda: str, *, origin: TorchOrigin = TorchOrigin.INSTALLED) -> Torch:
    return Torch(
        version=f"2.9.1+cu{cuda.replace('.', '')}",
        cuda=cuda,
        origin=origin,
        package=Path("/site/torch"),
        import_path=None,
        cxx11_abi=True,
    )


def places(
    environment: Mapping[str, str] | None = None,
    *,
    roots: tuple[Path, ...] = (),
    sites: tuple[Path, ...] = (),
) -> Places:
    return Places(environment=environment or {}, roots=roots, sites=sites)


def test_the_order_of_trust(tmp_path: Path) -> None:
    names = ("home", "path", "v12", "v13", "on-path", "usr/cuda-12.6", "usr/cuda-13.0", "usr/cuda")
    for name in names:
        fakes.nvcc(tmp_path / name)
    fakes.nvcc(tmp_path / "site" / "nvidia" / "cu13")
    environment = {
        "CUDA_PATH_V12_8": str(tmp_path / "v12"),
        "CUDA_PATH": str(tmp_path / "path"),
        "CUDA_PATH_V13_0": str(tmp_path / "v13"),
        "CUDA_HOME": str(tmp_path / "home"),
        "PATH": os.pathsep.join(["", str(tmp_path / "nothing"), str(tmp_path / "on-path" / "bin")]),
    }
    found = cuda_search.candidates(
        places(environment, roots=(tmp_path / "usr",), sites=(tmp_path / "site",)), LINUX
    )
    homes = [str(one.nvcc.parent.parent.relative_to(tmp_path)) for one in found]
    assert homes == [
        "home", "path", "v13", "v12", "on-path", "usr/cuda-13.0", "usr/cuda-12.6", "usr/cuda",
        "site/nvidia/cu13",
    ]  # fmt: skip
    assert [one.named_by for one in found[:5]] == [
        "CUDA_HOME", "CUDA_PATH", "CUDA_PATH_V13_0", "CUDA_PATH_V12_8", "PATH",
    ]  # fmt: skip


def test_the_same_toolkit_is_looked_at_once(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path)
    environment = {"CUDA_HOME": str(tmp_path), "CUDA_PATH": str(tmp_path), "PATH": str(tmp_path / "bin")}
    assert len(cuda_search.candidates(places(environment), LINUX)) == 1


def test_the_first_nvcc_on_path_alone_is_what_other_programs_take(tmp_path: Path) -> None:
    path = os.pathsep.join(str(tmp_path / name / "bin") for name in ("first", "second", "third"))
    for name in ("first", "second", "third"):
        fakes.nvcc(tmp_path / name)
    found = cuda_search.every_candidate(places({"PATH": path, "CUDA_HOME": str(tmp_path / "first")}), LINUX)
    assert [(one.nvcc.parent.parent.name, one.named_by) for one in found] == [
        ("first", "CUDA_HOME"), ("first", "PATH"), ("second", "PATH, behind another"),
        ("third", "PATH, behind another"),
    ]  # fmt: skip


def test_windows_looks_for_programs_with_their_suffix(tmp_path: Path) -> None:
    (tmp_path / "v13.0" / "bin").mkdir(parents=True)
    (tmp_path / "v13.0" / "bin" / "nvcc.exe").touch()
    found = cuda_search.candidates(places({"CUDA_PATH": "X:/cuda"}, roots=(tmp_path,)), WINDOWS)
    assert [one.nvcc.as_posix() for one in found] == [
        "X:/cuda/bin/nvcc.exe",
        (tmp_path / "v13.0/bin/nvcc.exe").as_posix(),
    ]


def test_the_conventional_folder_of_windows() -> None:
    found = cuda_search.machine_places(
        {"PROGRAMFILES": "D:/Programme"}, WINDOWS, sites=(), registry=NoRegistry()
    )
    assert [root.as_posix() for root in found.roots] == ["D:/Programme/NVIDIA GPU Computing Toolkit/CUDA"]


@pytest.mark.parametrize("name", ["CUDA_HOME", "CUDA_PATH", "CUDA_PATH_V13_0"])
@pytest.mark.parametrize("tail", ["bin", "Bin", "bin/"])
def test_a_variable_that_ends_in_bin_is_refused(tmp_path: Path, name: str, tail: str) -> None:
    with pytest.raises(ToolchainError, match=f"{name} = .*bin folder") as caught:
        cuda_search.candidates(places({name: f"{tmp_path}/{tail}"}), LINUX)
    assert caught.value.fix == f"set {name} to {tmp_path}"


def test_the_profiles_home_must_not_end_in_bin(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path)
    with pytest.raises(ToolchainError, match=r"cuda\.home = .*bin folder"):
        cuda.find_installed(wanted(home=tmp_path / "bin"), places(), LINUX)


def test_the_profiles_home_is_taken_before_all_others(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path / "named", version="12.8.93")
    fakes.nvcc(tmp_path / "variable")
    found = cuda.find_installed(
        wanted(home=tmp_path / "named"), places({"CUDA_HOME": str(tmp_path / "variable")}), LINUX
    )
    assert found.toolkit is not None
    assert found.toolkit.home == tmp_path / "named"
    assert found.toolkit.short_version == "12.8"


def test_the_profiles_home_without_a_compiler(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="not a CUDA toolkit"):
        cuda.find_installed(wanted(home=tmp_path), places(), LINUX)


def test_the_profiles_home_with_a_broken_compiler_is_an_error(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path)
    fakes.script(tmp_path / "bin" / "nvcc", "echo nonsense")
    with pytest.raises(ToolchainError, match="does not answer like nvcc"):
        cuda.find_installed(wanted(home=tmp_path), places(), LINUX)


def test_the_profiles_home_of_the_wrong_version_is_an_error(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path, version="12.4.99")
    with pytest.raises(ToolchainError, match=r"CUDA 12\.4\.99 is not >=12\.6"):
        cuda.find_installed(wanted(home=tmp_path, version=">=12.6"), places(), LINUX)


def test_what_does_not_fit_is_passed_over_with_its_reason(tmp_path: Path) -> None:
    fakes.script(tmp_path / "nonsense" / "bin" / "nvcc", "echo hello")
    fakes.nvcc(tmp_path / "old", version="12.4.99")
    fakes.nvcc(tmp_path / "small", architectures="compute_75\ncompute_80\n")
    fakes.nvcc(tmp_path / "split")
    (tmp_path / "split" / "include" / "cuda_runtime.h").unlink()
    fakes.nvcc(tmp_path / "wheel")
    (tmp_path / "wheel" / "lib64" / "libcudart.so").unlink()
    fakes.nvcc(tmp_path / "good")
    path = os.pathsep.join(
        str(tmp_path / name / "bin") for name in ("old", "small", "split", "wheel", "good")
    )
    environment = {"CUDA_HOME": str(tmp_path / "gone"), "CUDA_PATH": str(tmp_path / "nonsense"), "PATH": path}
    found = cuda.find_installed(wanted(version=">=12.6"), places(environment), LINUX)
    assert found.toolkit is not None
    assert found.toolkit.home == tmp_path / "good"
    assert found.toolkit.rejections == found.rejections
    reasons = [one.reason for one in found.rejections]
    assert reasons[0] == "there is no bin/nvcc"
    assert "does not answer like nvcc" in reasons[1]
    assert reasons[2] == "CUDA 12.4.99 is not >=12.6"
    assert "does not compile for 8.6" in reasons[3]
    assert "no include/cuda_runtime.h" in reasons[4]
    assert "no libcudart.so" in reasons[5]


def test_nothing_fits(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path, version="12.4.99")
    asked = wanted(version=">=12.6")
    found = cuda.find_installed(asked, places({"CUDA_HOME": str(tmp_path)}), LINUX)
    assert found.toolkit is None
    error = cuda.nothing_fits(asked, found.rejections, "none may be laid down")
    assert "CUDA 12.4.99 is not >=12.6" in str(error)
    assert str(tmp_path) in str(error)
    assert "fix: " in str(error)


@pytest.mark.parametrize(
    ("architectures", "capabilities"),
    [(("8.6",), ("8.6",)), (("9.0a", "12.0+PTX", "12.0f"), ("9.0", "12.0")), ((" 8.9 ",), ("8.9",))],
)
def test_suffixes_do_not_matter_to_the_compilers_list(
    architectures: tuple[str, ...], capabilities: tuple[str, ...]
) -> None:
    assert request(architectures=architectures).capabilities == capabilities


@pytest.mark.parametrize(
    ("built_with", "taken"),
    [
        (None, "13.0.88"),
        (torch_of("13.0"), "13.0.88"),
        (torch_of("12.8"), "12.6.20"),
        (torch_of("12.8", origin=TorchOrigin.HEADERS), "13.0.88"),
    ],
)
def test_an_installed_torch_decides_the_major_version(
    tmp_path: Path, built_with: Torch | None, taken: str
) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    fakes.nvcc(tmp_path / "cuda-12.6", version="12.6.20")
    found = cuda.find_installed(wanted(torch=built_with), places(roots=(tmp_path,)), LINUX)
    assert found.toolkit is not None
    assert str(found.toolkit.version) == taken


def test_the_profiles_home_of_another_major_than_torch(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path)
    with pytest.raises(ToolchainError, match=r"CUDA 13\.0\.88 is not 12\.x.*2\.9\.1\+cu128") as caught:
        cuda.find_installed(wanted(home=tmp_path, torch=torch_of("12.8")), places(), LINUX)
    assert 'torch.source = "headers"' in str(caught.value.fix)
