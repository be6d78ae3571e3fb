"""The tag's torch for the toolkit that is found: which build, from where, and what a failing pip leaves."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from tests import machine_patient as patient
from winvllm_build.build.torch_install import command, install, plan
from winvllm_build.cli.main import run
from winvllm_build.errors import ToolchainError
from winvllm_build.shells import Shell, typed
from winvllm_build.toolchain.cuda_survey import Verdict
from winvllm_build.toolchain.torch import Torch

PYTHON = Path(sys.executable)


@pytest.mark.parametrize(("cuda", "build"), [("13.0.88", "cu130"), ("12.7.1", "cu126"), ("12.9", "cu128")])
def test_torch_is_named_with_the_build_for_the_toolkit(cuda: str, build: str) -> None:
    words = command(PYTHON, "2.9.1", Version(cuda))
    assert words[-1] == f"torch==2.9.1+{build}"
    assert words[words.index("--extra-index-url") + 1].endswith(f"/{build}")


def test_an_environment_without_pip_is_installed_into_by_uv(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=os.name != "nt")
    bare = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    words = command(bare, "2.9.1", Version("13.0"))
    assert words[:5] == ("uv", "pip", "install", "--python", str(bare))
    assert words[-1] == "torch==2.9.1+cu130"


def test_a_mirror_replaces_the_known_index() -> None:
    words = command(PYTHON, "2.9.1", Version("13.0"), indexes=("file:///mirror",))
    assert [words[at + 1] for at, word in enumerate(words) if word == "--extra-index-url"] == [
        "file:///mirror"
    ]


def test_a_torch_that_nobody_recorded_is_named_with_the_toolkits_build() -> None:
    assert command(PYTHON, "9.9.9", Version("13.0"))[-1] == "torch==9.9.9+cu130"


def test_what_pip_said_last_is_told_with_the_command(tmp_path: Path) -> None:
    failing = tmp_path / "pip.py"
    failing.write_text("for n in range(20): print('line', n)\nraise SystemExit(1)", encoding="utf-8")
    heard: list[str] = []
    with pytest.raises(ToolchainError, match="line 19") as told:
        install((sys.executable, str(failing)), on_line=heard.append)
    assert len(heard) == 20
    assert "line 11" not in told.value.message
    assert str(failing) in str(told.value.fix)


BARE = replace(
    patient.INVENTORY, compilers=(), studios=(), sdks=(), cmake=None, ninja=None, installed_torch="none",
    python=replace(patient.PYTHON, torch=None, torch_package=None),
)  # fmt: skip
REQUEST = patient.HEALTHY.request
MISFIT = replace(patient.TOOLKIT, verdict=Verdict.MISFIT, reason="CUDA 12.8.61 is not >=13")


def test_torch_is_planned_before_there_is_any_compiler() -> None:
    words = plan(BARE, REQUEST)
    assert isinstance(words, tuple)
    assert words[0] == str(patient.PYTHON.executable)
    assert words[-1] == "torch==2.9.1+cu128"


def test_where_no_toolkit_is_installed_it_is_torch_for_the_one_that_will_be_laid_down() -> None:
    words = plan(replace(BARE, toolkits=()), REQUEST)
    assert isinstance(words, tuple)
    assert words[-1] == "torch==2.9.1+cu130"


def test_a_torch_that_fits_is_left_whatever_the_profile_takes(tmp_path: Path) -> None:
    (tmp_path / "share/cmake/Torch").mkdir(parents=True)
    (tmp_path / "share/cmake/Torch/TorchConfig.cmake").touch()
    (tmp_path / "version.py").write_text("__version__ = '2.9.1+cu128'\ncuda = '12.8'\n", encoding="utf-8")
    there = replace(BARE, python=replace(patient.PYTHON, torch_package=tmp_path))
    found = plan(there, REQUEST)
    assert isinstance(found, Torch)
    assert found.version == "2.9.1+cu128"


def test_nothing_is_planned_for_a_python_or_a_toolkit_that_does_not_fit() -> None:
    with pytest.raises(ToolchainError, match=r"CUDA 12\.8\.61 is not >=13"):
        plan(replace(BARE, toolkits=(MISFIT,)), replace(REQUEST, allow_laydown=False))
    old = replace(BARE, python=replace(patient.PYTHON, version=Version("3.14.0")))
    with pytest.raises(ToolchainError, match=r"Python 3\.14\.0; this tag supports"):
        plan(old, REQUEST)
    silent = replace(BARE, python=None, errors={"python": ToolchainError("it does not answer")})
    with pytest.raises(ToolchainError, match="it does not answer"):
        plan(silent, REQUEST)


def test_the_command_needs_no_compiler_and_names_the_indexes_of_the_profile(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    mirror = "https://mirror.invalid/whl"
    code = run(["toolchain", "torch", "--dry-run", "--set", f'torch.indexes=["{mirror}"]'])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert f"--extra-index-url {mirror} torch==2.9.1+cu" in said.out
    assert not any(Path(tmp_path).iterdir())


def test_a_line_is_written_once_where_both_shells_read_it_alike() -> None:
    both = (Shell.CMD, Shell.POWERSHELL)
    assert typed(("pip", "install", "torch==2.9.1"), both) == ["pip install torch==2.9.1"]
    assert typed((r"C:\a b\python.exe", "-m"), both) == [
        '"C:\\a b\\python.exe" -m   (cmd)', "& 'C:\\a b\\python.exe' -m   (powershell)",
    ]  # fmt: skip


def torch_wheel(folder: Path, version: str) -> None:
    """A torch that says what it is and has CMake's file, as `toolchain torch` looks at it."""
    info = f"torch-{version}.dist-info"
    files = {
        "torch/__init__.py": "",
        "torch/version.py": f"__version__ = '{version}'\ncuda = '13.0'\n",
        "torch/share/cmake/Torch/TorchConfig.cmake": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"torch-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    with (folder / "index.html").open("a", encoding="utf-8") as page:
        page.write(f'<!DOCTYPE html><a href="{file.name.replace("+", "%2B")}">{file.name}</a>\n')


def test_torch_is_installed_once_from_an_index_of_the_profile(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for build in ("cu126", "cu128", "cu130"):
        torch_wheel(tmp_path / "index" / "torch", f"2.9.1+{build}")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "empty").as_uri())
    index = (tmp_path / "index").as_uri()
    words = ["toolchain", "torch", "--python", str(python), "--set", f'torch.indexes=["{index}"]']
    assert run(words) == 0
    first = capsys.readouterr()
    assert "Successfully installed torch-2.9.1+cu" in first.err
    assert run(words) == 0
    assert capsys.readouterr().out.startswith("torch 2.9.1+cu")
