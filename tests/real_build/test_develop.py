"""A small real build installed editable, with pip and with uv, and taken out again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.real_build.test_packaging import environment

pytestmark = [pytest.mark.network, pytest.mark.nvcc, pytest.mark.usefixtures("quickstart_tree")]
QUICKSTART = ("--profile", "quickstart", "--set", "build.objects=")
WHERE = (
    "import importlib.metadata as m, importlib.util as u, pathlib, ctypes\n"
    "found = pathlib.Path(u.find_spec('vllm').origin)\n"
    "print(found.parent); print(m.version('vllm'))\n"
    "print((found.parent / 'cumem_allocator.abi3.so').read_bytes()[:4] == b'\\x7fELF')\n"
)


@pytest.fixture(scope="module")
def home(test_cache: Path) -> dict[str, str]:
    return {**os.environ, "WINVLLM_BUILD_HOME": str(test_cache / "workspace")}


def run(home: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "winvllm-build"
    return subprocess.run([program, *arguments], env=home, capture_output=True, text=True, check=False)


def develop(home: dict[str, str], *arguments: str | Path) -> dict[str, Any]:
    done = run(home, "develop", *QUICKSTART, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def states(home: dict[str, str], tree: str) -> object:
    return json.loads(run(home, "status", "v0.33.0", "--tree", tree, "--json").stdout)


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_build_is_installed_editable_and_taken_out(
    installer: str, home: dict[str, str], tmp_path: Path
) -> None:
    python = environment(tmp_path / "an environment")
    if installer == "pip":
        subprocess.run([python, "-m", "ensurepip"], check=True, capture_output=True)
    into = ("--into", str(python), "--no-deps")
    made = develop(home, *into)
    assert installer in made["command"]
    assert "vllm/cumem_allocator.abi3.so" in made["files"]
    said = subprocess.run([python, "-I", "-c", WHERE], capture_output=True, text=True, check=True, cwd="/")
    where, version, is_elf = said.stdout.splitlines()
    assert Path(where).samefile(Path(made["tree"], "vllm"))
    assert version == made["version"]
    assert is_elf == "True"
    placed = states(home, made["tree"])
    again = develop(home, *into)
    assert (again["command"], again["written"]) == ([], [])
    undone = run(home, "develop", *QUICKSTART, "--undo")
    assert undone.returncode == 0, undone.stderr
    assert not (Path(made["tree"]) / "vllm" / "cumem_allocator.abi3.so").exists()
    assert states(home, made["tree"]) == placed, "git ignores all of it"
    gone = subprocess.run([python, "-I", "-c", WHERE], capture_output=True, text=True, check=False, cwd="/")
    assert gone.returncode != 0
    assert "nothing was put into" in run(home, "develop", *QUICKSTART, "--undo").stdout
