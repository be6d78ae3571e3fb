"""`wheel verify`: a real extension in a wheel, installed with pip and with uv, imported from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import wheel_forge as forge
from tests.wheel_forge import INFO, VERSION
from winvllm_build.cli.main import run
from winvllm_build.wheel import provenance
from winvllm_build.wheel.check import CheckRequest, check
from winvllm_build.wheel.verify import find_uv

NAME = "vllm/spinloop.abi3.so"
MODULE = """\
#define Py_LIMITED_API 0x03080000
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "spinloop", 0, 0, 0, 0, 0, 0, 0};
PyMODINIT_FUNC PyInit_spinloop(void) { @BODY@ }
"""
GOOD = "return PyModule_Create(&module);"


def library(folder: Path, body: str = GOOD, *more: str) -> bytes:
    """A real extension module, linked with more."""
    source, made = folder / "spinloop.c", folder / "spinloop.so"
    source.write_text(MODULE.replace("@BODY@", body))
    compiler = shutil.which("gcc") or shutil.which("cc") or "g++"
    include = sysconfig.get_path("include")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-Os", f"-I{include}", "-o", made, source, *more], check=True
    )
    return made.read_bytes()


def wheel(folder: Path, body: str = GOOD, more: Mapping[str, bytes] = {}) -> Path:
    """A wheel with that extension alone; nothing in it needs torch or a GPU."""
    content = {name: data for name, data in forge.files().items() if name not in {NAME, "vllm/_C.abi3.so"}}
    content[NAME] = library(folder, body)
    content[f"{INFO}/{provenance.FILE}"] = forge.made({NAME: ()}).serialise()
    return forge.write(folder, {**content, **more})


def steps(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> dict[tuple[str, str], str]:
    """What became of each step of one verification."""
    assert run(["wheel", "verify", *arguments, "--json"]) == code
    data = json.loads(capsys.readouterr().out)
    assert data["ok"] is (code == 0)
    return {(one["installer"], one["name"]): one["verdict"] for one in data["steps"]}


def test_a_wheel_is_installed_and_its_extension_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = steps(capsys, 0, str(wheel(tmp_path)))
    assert {installer for installer, _ in found} == {"pip", "uv"}
    pip = {name: verdict for (installer, name), verdict in found.items() if installer == "pip"}
    assert pip == {
        "installed": "good", "seen from outside": "good", "version": "good", "requirements": "not done",
        "torch's CUDA": "not done", f"import {NAME}": "good", "import vllm": "not done",
    }  # fmt: skip
    uv = {name: verdict for (installer, name), verdict in found.items() if installer == "uv"}
    assert uv == pip


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('PyErr_SetString(PyExc_ImportError, "no such GPU"); return 0;', "no such GPU"),
        ("*(volatile int *)0 = 1; return 0;", "ended with code -11"),
    ],
)
def test_an_extension_that_fails_or_crashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, words: str
) -> None:
    assert run(["wheel", "verify", str(wheel(tmp_path, body)), "--installer", "uv"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if NAME in line]
    assert len(lines) == 1
    assert lines[0].startswith("uv   failed")
    assert words in lines[0]


def test_another_version_inside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = wheel(tmp_path, more={"vllm/_version.py": b"__version__ = '0.32.0'\n"})
    found = steps(capsys, 1, str(other), "--installer", "uv")
    assert found["uv", "version"] == "failed"


def test_what_the_installer_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = wheel(tmp_path)
    foreign = good.rename(good.with_name(good.name.replace("linux_x86_64", "win_amd64")))
    assert steps(capsys, 1, str(foreign), "--installer", "uv") == {("uv", "installed"): "failed"}


def test_the_same_wheel_passes_its_check(tmp_path: Path) -> None:
    report = check(CheckRequest(file=wheel(tmp_path), archs=()))
    assert [one.what for one in report.problems] == []
    assert report.version == VERSION


def environment_with_torch(folder: Path, cuda: str | None) -> Path:
    """An environment whose torch says so of itself; its interpreter."""
    subprocess.run([find_uv(), "venv", "--quiet", folder], check=True, capture_output=True)
    (site,) = folder.rglob("site-packages")
    local = f"+cu{cuda.replace('.', '')}" if cuda else "+cpu"
    files = {
        "torch/__init__.py": "",
        "torch/version.py": f"from typing import Optional\ncuda: Optional[str] = {cuda!r}\n",
        "torch.dist-info/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: 2.14.0{local}\n",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text, encoding="utf-8")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@pytest.mark.parametrize(
    ("cuda", "verdict", "imported"),
    [("13.0", "good", "failed"), ("12.6", "failed", "failed"), (None, "not done", "not done")],
)
def test_a_torch_for_another_cuda(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cuda: str | None, verdict: str, imported: str
) -> None:
    """An extension that asks for torch's part for CUDA: only where torch has none is that no failure."""
    stub = tmp_path / "libtorch_cuda.so"
    subprocess.run(["gcc", "-shared", "-x", "c", "-o", stub, os.devnull], check=True)
    content = {NAME: library(tmp_path, GOOD, "-Wl,--no-as-needed", f"-L{tmp_path}", "-ltorch_cuda")}
    beside = environment_with_torch(tmp_path / "daneben für torch", cuda)
    file = str(wheel(tmp_path, more=content))
    found = steps(capsys, int(imported == "failed"), file, "--installer", "uv", "--beside", str(beside))
    assert found["uv", "torch's CUDA"] == verdict
    assert found["uv", f"import {NAME}"] == imported
    assert found["uv", "requirements"] == "not done"
