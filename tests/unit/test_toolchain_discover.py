"""The whole discovery over a machine of stand-ins, with the real host compiler, cmake and ninja."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import typer
from packaging.specifiers import SpecifierSet
from typer.testing import CliRunner

from tests import toolchain_fakes as fakes
from winvllm_build.build import equipment, trees
from winvllm_build.choices import TorchSource
from winvllm_build.cli import toolchain as commands
from winvllm_build.errors import OfflineError, PatchError, ProfileError, SourceError, ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.profile.model import Profile
from winvllm_build.toolchain import cuda_wheels
from winvllm_build.toolchain.cuda import CudaOrigin
from winvllm_build.toolchain.cuda_search import Places
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.system import this_system
from winvllm_build.toolchain.toolchain import Toolchain, discover
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-ins are shell scripts")
TORCH = {
    "torch/include/ATen/ATen.h": "",
    "torch/share/cmake/Torch/TorchConfig.cmake": "",
    "torch/share/cmake/Caffe2/Caffe2Config.cmake": "",
    "torch/version.py": "__version__ = '2.9.1+cu128'\ncuda = '12.8'\nhip = None\n",
    "torch/utils/cpp_extension.py": "COMMON_NVCC_FLAGS = ['--expt-relaxed-constexpr']\n",
}


@pytest.fixture
def index(tmp_path: Path) -> fakes.FakeIndex:
    """NVIDIA's wheels, of which the compiler is a script, and torch's."""
    home = tmp_path / "model"
    script = fakes.nvcc(home).read_text(encoding="utf-8").replace(str(home), '$(dirname "$0")/..')
    files = {"torch": TORCH}
    for pin in cuda_wheels.read_pins(PlatformTag.LINUX_X86_64).wheels:
        files[pin.project] = {f"nvidia/cu13/{pin.marker}": ""}
    files["nvidia-cuda-nvcc"]["nvidia/cu13/bin/nvcc"] = script.replace("'#$ TOP=", '"#$ TOP=').replace(
        "/bin/..' >&2", '/bin/.." >&2'
    )
    files["nvidia-cuda-crt"]["nvidia/cu13/include/crt/host_config.h"] = fakes.HOST_CONFIG
    files["nvidia-cuda-runtime"]["nvidia/cu13/lib/libcudart.so.13"] = ""
    return fakes.FakeIndex(workspace=Workspace(root=tmp_path / "workspace"), held=files)


def find(
    index: fakes.FakeIndex,
    environment: dict[str, str],
    *,
    said: list[str] | None = None,
    cuda_version: str = "",
    torch_source: TorchSource = TorchSource.AUTO,
    allow_laydown: bool = True,
    python: Path | None = None,
    roots: tuple[Path, ...] = (),
) -> Toolchain:
    request = ToolchainRequest(
        architectures=("8.6",),
        cuda_version=SpecifierSet(cuda_version),
        torch_version="2.9.1",
        torch_source=torch_source,
        allow_laydown=allow_laydown,
        python=python,
    )
    machine = {"PATH": "/usr/bin:/bin", **environment}
    return discover(
        request,
        workspace=index.workspace,
        index=index,
        on_event=(said if said is not None else []).append,
        environment=machine,
        places=Places(environment=machine, roots=roots),
    )


def test_an_installed_toolkit_and_torchs_headers(tmp_path: Path, index: fakes.FakeIndex) -> None:
    home = tmp_path / "cuda"
    fakes.nvcc(home)
    found = find(index, {"CUDA_HOME": str(home), "GH_TOKEN": "secret"})
    assert found.cuda.origin is CudaOrigin.INSTALLED
    definitions = found.cmake_definitions()
    assert definitions["CMAKE_CUDA_COMPILER"] == str(home / "bin" / "nvcc")
    assert definitions["CUDA_TOOLKIT_ROOT_DIR"] == str(home)
    assert definitions["CMAKE_CUDA_STANDARD_INCLUDE_DIRECTORIES"].endswith("/include")
    assert found.environment["CUDA_HOME"] == str(home)
    assert "secret" not in json.dumps(dict(found.environment))
    assert found.environment["PYTHONPATH"] == str(found.torch.import_path)
    assert "headers only" in found.describe()["torch"]
    assert found.cmake.is_file()
    assert found.ninja.is_file()


def test_without_a_toolkit_one_is_laid_down_and_the_others_are_told(
    tmp_path: Path, index: fakes.FakeIndex
) -> None:
    fakes.nvcc(tmp_path / "old", version="12.4.99")
    said: list[str] = []
    found = find(index, {"CUDA_HOME": str(tmp_path / "old")}, said=said, cuda_version=">=12.6")
    assert found.cuda.origin is CudaOrigin.LAID_DOWN
    assert found.cuda.home.parent == index.workspace.toolchains
    assert any("not taken" in line and "12.4.99 is not >=12.6" in line for line in said)
    assert "12.4.99" in found.describe()["not taken"]


def test_nothing_may_be_laid_down(index: fakes.FakeIndex) -> None:
    with pytest.raises(ToolchainError, match="does not allow to lay one down"):
        find(index, {}, allow_laydown=False)


def test_what_can_be_laid_down_does_not_fit(index: fakes.FakeIndex) -> None:
    with pytest.raises(ToolchainError, match=r"can be laid down is 13\.0\.88"):
        find(index, {}, cuda_version="==12.8.*")


def test_offline_and_nothing_cached(tmp_path: Path, index: fakes.FakeIndex) -> None:
    index.breaks_at = "nvidia-cuda-nvcc"
    with pytest.raises(OfflineError, match="does not answer") as caught:
        find(index, {"CUDA_HOME": str(tmp_path / "gone")})
    assert "there is no bin/nvcc" in caught.value.message
    assert caught.value.exit_code == 8


def test_a_wheel_that_is_not_the_pinned_one_keeps_its_error_class(index: fakes.FakeIndex) -> None:
    index.held = {"torch": TORCH}
    with pytest.raises(SourceError):
        find(index, {})


def test_independent_problems_are_told_together(tmp_path: Path, index: fakes.FakeIndex) -> None:
    with pytest.raises(ToolchainError) as caught:
        find(index, {"PATH": str(tmp_path), "CUDA_HOME": str(tmp_path / "bin")}, python=tmp_path / "python3")
    message = caught.value.message
    assert "3 problems" in message
    assert "python3 does not exist" in message
    assert "bin folder" in message
    assert "no C++ compiler" in message
    assert message.count("fix: ") == 3


def test_an_installed_torch_is_asked_for_and_not_there(tmp_path: Path, index: fakes.FakeIndex) -> None:
    fakes.nvcc(tmp_path / "cuda")
    with pytest.raises(ToolchainError, match=r"torch\.source is installed, but"):
        find(index, {"CUDA_HOME": str(tmp_path / "cuda")}, torch_source=TorchSource.INSTALLED)


def test_the_toolkit_follows_the_installed_torch(tmp_path: Path, index: fakes.FakeIndex) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    fakes.nvcc(tmp_path / "cuda-12.8", version="12.8.93")
    python = fakes.python_with_torch(tmp_path / "env", version="2.9.1+cu128", cuda="12.8")
    found = find(index, {"CUDA_PATH": str(tmp_path / "cuda-13.0")}, python=python, roots=(tmp_path,))
    assert found.torch.runs
    assert found.cuda.home == tmp_path / "cuda-12.8"
    assert "is not 12.x; the installed torch 2.9.1+cu128" in found.describe()["not taken"]
    checked = find(index, {}, python=python, roots=(tmp_path,), torch_source=TorchSource.HEADERS)
    assert (checked.cuda.home, checked.torch.runs) == (tmp_path / "cuda-13.0", False)


def test_no_toolkit_of_torchs_major_and_none_to_lay_down(tmp_path: Path, index: fakes.FakeIndex) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    python = fakes.python_with_torch(tmp_path / "env", version="2.9.1+cu128", cuda="12.8")
    with pytest.raises(ToolchainError, match=r"no CUDA 12\.x toolkit for 8\.6") as caught:
        find(index, {}, python=python, roots=(tmp_path,))
    assert "torch 2.9.1+cu128 is built with CUDA 12.8" in caught.value.message
    assert "NVIDIA's wheels for CUDA 12 have no nvcc" in caught.value.message
    assert "install a CUDA 12.x toolkit" in str(caught.value.fix)
    assert 'torch.source = "headers"' in str(caught.value.fix)
    assert index.asked == []


def test_a_torch_of_another_release_does_not_bind_the_toolkit(tmp_path: Path, index: fakes.FakeIndex) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    python = fakes.python_with_torch(tmp_path / "env", version="2.8.0+cu128", cuda="12.8")
    found = find(index, {}, python=python, roots=(tmp_path,))
    assert (found.cuda.short_version, found.torch.runs) == ("13.0", False)


@pytest.mark.parametrize(("name", "machine"), [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "ARM64")])
def test_other_systems_are_refused(name: str, machine: str) -> None:
    with pytest.raises(ToolchainError, match="x86-64"):
        this_system(name=name, machine=machine)


def test_the_two_systems() -> None:
    assert this_system(name="linux", machine="x86_64") is PlatformTag.LINUX_X86_64
    assert this_system(name="win32", machine="AMD64") is PlatformTag.WINDOWS_AMD64


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, index: fakes.FakeIndex) -> typer.Typer:
    fakes.nvcc(tmp_path / "cuda")
    for name in ("TORCH_CUDA_ARCH_LIST", "MAX_JOBS", "NVCC_THREADS", "CMAKE_BUILD_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    monkeypatch.setattr("winvllm_build.index.Index", lambda *_args, **_options: index)
    app = typer.Typer()
    commands.register(app)
    app.callback()(lambda: None)
    return app


def test_the_command_prints_each_part(program: typer.Typer, tmp_path: Path) -> None:
    done = CliRunner().invoke(program, ["toolchain", "show"])
    assert done.exit_code == 0
    assert str(tmp_path / "cuda") in done.stdout
    assert [line[:13].rstrip() for line in done.stdout.splitlines()][:6] == [
        "CUDA toolkit", "host compiler", "Python", "torch", "cmake", "ninja",
    ]  # fmt: skip


def test_the_command_prints_data(program: typer.Typer, tmp_path: Path) -> None:
    done = CliRunner().invoke(program, ["toolchain", "show", "--json"])
    found = json.loads(done.stdout)
    assert found["cmake_definitions"]["CUDA_TOOLKIT_ROOT_DIR"] == str(tmp_path / "cuda")
    assert found["environment"]["TORCH_CUDA_ARCH_LIST"] == "8.6"
    assert os.pathsep in found["environment"]["PATH"]


def test_the_command_resolves_a_profile_like_a_build(program: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "winvllm-build.toml").write_text('inherit = "sm120"\n[environment]\nCXXFLAGS = "-g"\n')
    found = json.loads(CliRunner().invoke(program, ["toolchain", "show", "--json"]).stdout)
    assert found["profile"] == "sm120"
    assert found["environment"]["TORCH_CUDA_ARCH_LIST"] == "12.0"
    assert found["environment"]["CXXFLAGS"] == "-g"
    options = ["--profile", "sm75", "--set", "cuda.arch_list=8.9"]
    found = json.loads(CliRunner().invoke(program, ["toolchain", "show", "--json", *options]).stdout)
    assert found["environment"]["TORCH_CUDA_ARCH_LIST"] == "8.9"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--arch", "banana"], '"banana" is not an architecture'),
        (["--tag", "v0.14.0"], "there is no patch set for v0.14.0"),
        (["--cuda-home", "/cuda/bin"], "is the toolkit's bin folder"),
        (["--set", "build.leave_out=_C", "--set", "build.targets=_C"], "_C is both in"),
    ],
)
def test_the_command_refuses_what_a_build_refuses(
    program: typer.Typer, options: list[str], said: str
) -> None:
    done = CliRunner().invoke(program, ["toolchain", "show", *options])
    assert isinstance(done.exception, ProfileError)
    assert said in str(done.exception)


EXPECT = """schema = 1
[upstream]
url = "https://example.org/vllm"
tag = "v0.14.1"
commit = "d7de043d55d1dd629554467e23874097e1c48993"
[expect]
"""


def test_the_tags_tree_is_asked_before_what_the_patch_set_expects(tmp_path: Path) -> None:
    file = tmp_path / "patches" / "v0.14.1" / "patchset.toml"
    file.parent.mkdir(parents=True)
    file.write_text(EXPECT + 'python = ">=3.10,<3.13"\ntorch = "2.9.0"\n')
    workspace, profile = Workspace(root=tmp_path), Profile()
    found = equipment.facts_without_source(profile, workspace=workspace, patches=tmp_path / "patches")
    assert (found.torch, found.requires_python) == ("2.9.0", SpecifierSet(">=3.10,<3.13"))
    tree = trees.tree_folder(workspace, profile.tag, profile.cuda.arch_list)
    tree.mkdir(parents=True)
    (tree / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["torch==2.9.5"]\n[project]\nrequires-python = ">=3.11"\n'
    )
    (tree / "setup.py").touch()
    (tree / "CMakeLists.txt").write_text('set(CUDA_SUPPORTED_ARCHS "8.0;8.6")\n')
    found = equipment.facts_without_source(profile, workspace=workspace, patches=tmp_path / "patches")
    assert (found.torch, found.supported_archs) == ("2.9.5", frozenset({"8.0", "8.6"}))


@pytest.mark.parametrize("expect", ['torch = "2.9.1"\n', 'torch = "2.9.1"\npython = "three"\n'])
def test_a_patch_set_that_does_not_say_what_it_expects(tmp_path: Path, expect: str) -> None:
    file = tmp_path / "v0.14.1" / "patchset.toml"
    file.parent.mkdir()
    file.write_text(EXPECT + expect)
    with pytest.raises(PatchError, match=r"\[expect\] has to name python"):
        equipment.facts_without_source(Profile(), workspace=Workspace(root=tmp_path), patches=tmp_path)
