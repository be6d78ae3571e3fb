"""All that is there, with reasons: toolkits, compilers, Python, the user's git."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests import toolchain_fakes as fakes
from winvllm_build import git
from winvllm_build.choices import TorchSource
from winvllm_build.cli.plain import plain
from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.registry import NoRegistry
from winvllm_build.toolchain import inventory
from winvllm_build.toolchain.cuda_search import Places
from winvllm_build.toolchain.cuda_survey import Verdict
from winvllm_build.toolchain.python_files import claims_no_gil
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.torch import Torch
from winvllm_build.workspace import Workspace

LINUX = PlatformTag.LINUX_X86_64
# lines like those of PC/pyconfig.h, and with the define that python/cpython#135151 reports of 3.13.4
HEALTHY = "#ifndef Py_GIL_DISABLED\n/* #define Py_GIL_DISABLED 1 */\n#endif\n"
WRONG = "#ifndef Py_GIL_DISABLED\n#define Py_GIL_DISABLED 1\n#endif\n"


def request(
    python: Path | None = None, *, cuda_home: Path | None = None, cuda_version: str = ""
) -> ToolchainRequest:
    return ToolchainRequest(
        architectures=("8.6",), torch_version="2.9.1", python=python, cuda_home=cuda_home,
        cuda_version=SpecifierSet(cuda_version),
    )  # fmt: skip


def taken(tmp_path: Path, asked: ToolchainRequest, *homes: Path, **variables: str) -> inventory.Inventory:
    environment = {"PATH": os.environ["PATH"], **variables}
    return inventory.take(
        asked,
        inventory.Scope(
            workspace=Workspace(root=tmp_path / "workspace"), system=LINUX, environment=environment,
            registry=NoRegistry(), places=Places(environment=variables, roots=tuple(homes)),
        ),
    )  # fmt: skip


def test_every_toolkit_has_a_verdict_and_a_reason(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    fakes.nvcc(tmp_path / "cuda-12.8", version="12.8.61")
    (tmp_path / "cuda").symlink_to("cuda-13.0")
    found = taken(
        tmp_path, request(cuda_version=">=12"), tmp_path,
        CUDA_HOME=str(tmp_path / "gone"), CUDA_PATH=str(tmp_path / "cuda-13.0" / "bin"),
    )  # fmt: skip
    told = {one.home.name: (one.verdict, one.reason) for one in found.toolkits}
    assert told["gone"][0] is Verdict.BROKEN
    assert told["cuda-13.0"] == (Verdict.TAKEN, "the first that fits")
    assert told["cuda-12.8"] == (Verdict.FITS, f"fits, but {tmp_path / 'cuda-13.0'} comes first")
    assert len(told) == 3
    taken_one = found.toolkit
    assert taken_one is not None
    assert taken_one.named_by == ("CUDA_PATH", str(tmp_path))
    assert taken_one.limits.msvc == (1920, 1950)


def test_an_installed_torch_decides_on_the_major_version(tmp_path: Path) -> None:
    python = fakes.python_with_torch(tmp_path / "env", version="2.9.1+cu128", cuda="12.8")
    fakes.nvcc(tmp_path / "cuda-13.0")
    fakes.nvcc(tmp_path / "cuda-12.8", version="12.8.61")
    found = taken(tmp_path, request(python), tmp_path)
    assert isinstance(found.installed_torch, Torch)
    assert [(one.home.name, one.verdict) for one in found.toolkits] == [
        ("cuda-13.0", Verdict.MISFIT),
        ("cuda-12.8", Verdict.TAKEN),
    ]
    assert "torch 2.9.1+cu128 is built with CUDA 12.8" in found.toolkits[0].reason


def test_the_toolkit_of_the_profile_alone_counts(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    found = taken(tmp_path, request(cuda_home=tmp_path / "gone"), tmp_path)
    assert found.toolkit is None
    assert [one.verdict for one in found.toolkits] == [Verdict.BROKEN, Verdict.FITS]
    assert found.toolkits[1].reason == "fits, but the profile names another"


def test_a_profile_of_headers_alone_is_not_bound_to_the_installed_torch(tmp_path: Path) -> None:
    python = fakes.python_with_torch(tmp_path / "env", version="2.9.1+cu128", cuda="12.8")
    fakes.nvcc(tmp_path / "cuda-13.0")
    found = taken(tmp_path, replace(request(python), torch_source=TorchSource.HEADERS), tmp_path)
    assert found.installed_torch == "the profile asks for headers only"
    assert found.toolkit is not None


def test_a_toolkit_that_a_build_cannot_link_with_is_not_taken(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    (tmp_path / "cuda-13.0" / "lib64" / "libcudart.so").unlink()
    (one,) = taken(tmp_path, request(), tmp_path).toolkits
    assert one.verdict is Verdict.BROKEN
    assert "no libcudart.so to link with" in one.reason
    assert one.version is not None


def test_the_first_nvcc_on_path_is_told_whatever_else_names_it(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fakes.nvcc(tmp_path / name)
    path = os.pathsep.join([*(str(tmp_path / name / "bin") for name in ("a", "b")), os.environ["PATH"]])
    found = taken(tmp_path, request(cuda_home=tmp_path / "b"), CUDA_HOME=str(tmp_path / "a"), PATH=path)
    named = {one.home.name: one.named_by for one in found.toolkits}
    assert named["a"] == ("CUDA_HOME", "PATH")
    assert named["b"] == ("cuda.home of the profile", "PATH, behind another")
    assert [name for name, by in named.items() if "PATH" in by] == ["a"]


@pytest.mark.parametrize(
    ("asked", "lays_down"),
    [
        (request(), True), (request(cuda_version="<13"), False), (request(cuda_home=Path("/gone")), False),
        (replace(request(), architectures=("6.1",)), False),
        (replace(request(), allow_laydown=False), False),
    ],
)  # fmt: skip
def test_without_a_toolkit_the_limits_of_the_one_laid_down_count(
    tmp_path: Path,
    asked: ToolchainRequest,
    lays_down: bool,  # noqa: FBT001 - a parameter
) -> None:
    fakes.script(tmp_path / "bin" / "g++", "echo '#define __GNUC__ 99'; "
                 "echo '#define __GNUC_MINOR__ 1'; echo '#define __GNUC_PATCHLEVEL__ 0'")  # fmt: skip
    found = taken(tmp_path, asked, CXX=str(tmp_path / "bin" / "g++"))
    assert found.lays_down(asked) is lays_down
    assert found.compilers[0].refusal == ("this nvcc takes GCC up to 15" if lays_down else "")


def test_compilers_are_listed_with_what_nvcc_says_of_them(tmp_path: Path) -> None:
    fakes.nvcc(tmp_path / "cuda-13.0")
    header = tmp_path / "cuda-13.0" / "include" / "crt" / "host_config.h"
    header.write_text(fakes.HOST_CONFIG.replace("> 15", "> 5"), encoding="utf-8")
    found = taken(tmp_path, request(), tmp_path)
    gcc = next(one for one in found.compilers if one.kind.value == "gcc")
    assert gcc.refusal == "this nvcc takes GCC up to 5"
    assert found.compiler is None or found.compiler.kind.value == "clang"


def test_what_does_not_answer_is_an_error_of_its_own(tmp_path: Path) -> None:
    broken = fakes.script(tmp_path / "python", "echo no; exit 3")
    found = taken(tmp_path, request(broken))
    assert found.python is None
    assert isinstance(found.errors["python"], ToolchainError)
    assert found.installed_torch == "there is no Python to ask"
    assert json.loads(json.dumps(plain(found)))["errors"]["python"]["fix"]


@pytest.mark.parametrize(("header", "lies"), [(HEALTHY, False), (WRONG, True), ("", False)])
def test_the_header_of_python_3_13_4(tmp_path: Path, header: str, lies: bool) -> None:  # noqa: FBT001 - a parameter
    (tmp_path / "pyconfig.h").write_text(header, encoding="ascii")
    assert claims_no_gil(tmp_path) is lies


def test_a_python_that_lies_about_its_gil_builds_nothing(tmp_path: Path) -> None:
    python = fakes.python_with_torch(tmp_path / "env", version="2.9.1", cuda=None)
    (tmp_path / "env" / "include" / "pyconfig.h").write_text(WRONG, encoding="ascii")
    from winvllm_build.toolchain.python import find_python  # noqa: PLC0415 - one test

    with pytest.raises(ToolchainError, match="has no GIL, which is wrong"):
        find_python(request(python), workspace=Workspace(root=tmp_path), system=LINUX, env=dict(os.environ))
    found = taken(tmp_path, request(python)).python
    assert found is not None
    assert found.lies


def test_the_users_git_is_read_not_ours(hermetic_seal: Path) -> None:
    subprocess.run(["git", "config", "--global", "core.longpaths", "true"], check=True)
    subprocess.run(["git", "config", "--global", "core.autocrlf", "input"], check=True)
    file = hermetic_seal / ".gitconfig"
    file.write_text(f"{file.read_text('utf-8')}[core]\n\tsymlinks\n", encoding="utf-8")
    found = git.user_settings()
    assert found.values["core.autocrlf"] == "input"
    assert found.is_true("core.longPaths")
    assert found.is_true("core.symlinks")
    assert not found.is_true("core.autocrlf")
    assert found.version[0].isdigit()
