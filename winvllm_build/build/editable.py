"""An editable installation of a source tree whose extensions were built elsewhere.

setuptools writes the editable wheel, with upstream's own metadata but without building anything; a small
package beside the tree hands it to pip or uv as PEP 660 asks, so that they know it as editable.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from winvllm_build import process
from winvllm_build.build.steps import StepRunner
from winvllm_build.errors import PackError, ToolchainError
from winvllm_build.workspace import storage_errors, write_atomic

SETUP: Final = """\
import os, runpy, sys
import setuptools
whole = setuptools.setup
def without_extensions(**said):
    for name in ("ext_modules", "cmdclass", "rust_extensions"):
        said.pop(name, None)
    return whole(**said)
setuptools.setup = without_extensions
sys.argv[0] = "setup.py"
sys.path.insert(0, os.getcwd())
runpy.run_path("setup.py", run_name="__main__")
"""
PROJECT: Final = """\
# Hands the editable wheel beside it to pip or uv. Written by winvllm-build develop.
[build-system]
requires = []
build-backend = "editable_backend"
backend-path = ["."]
"""
BACKEND: Final = '''\
"""A build backend that has built already. Written by winvllm-build develop."""

import pathlib
import shutil

HERE = pathlib.Path(__file__).resolve().parent


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    wheel = next(HERE.glob("*.whl"))
    shutil.copyfile(wheel, pathlib.Path(wheel_directory, wheel.name))
    return wheel.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    raise SystemExit("this folder is installed with -e only; winvllm-build build makes wheels")


def build_sdist(sdist_directory, config_settings=None):
    raise SystemExit("this folder is no source; it stands for a tree beside it")
'''

ASK: Final = """\
import importlib.metadata as m, json
found = m.distribution("vllm")
origin = json.loads(found.read_text("direct_url.json") or "{}")
print(json.dumps([found.version, origin.get("url", ""), bool(origin.get("dir_info", {}).get("editable"))]))
"""
"""Who installed vLLM, by what PEP 610 has installers note."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditableRequest:
    """What an editable installation needs.

    Attributes:
        tree: the source tree.
        folder: where the package for the installers goes.
        version: the version to install as.
        packer: an interpreter with upstream's build requirements.
        shim: folder for PYTHONPATH where `torch` can be imported, None when the packer has its own.
    """

    tree: Path
    folder: Path
    version: str
    packer: Path
    shim: Path | None


def make(request: EditableRequest, runner: StepRunner) -> Path:
    """The folder that installers are given.

    Raises:
        PackError: setuptools failed, or wrote no wheel.
        StorageError: the disk is full or read-only.
    """
    extra = {"VLLM_VERSION_OVERRIDE": request.version, "VLLM_TARGET_DEVICE": "cuda"}
    if request.shim is not None:
        extra["PYTHONPATH"] = str(request.shim)
    with tempfile.TemporaryDirectory(prefix="winvllm-develop-") as temporary:
        command: list[str | Path] = [request.packer, "-c", SETUP, "editable_wheel", "--dist-dir", temporary]
        runner.run("setup.py editable_wheel", command, cwd=request.tree, extra=extra)
        made = sorted(Path(temporary).glob("*.whl"))
        if not made:
            raise PackError(
                f"setup.py editable_wheel made no wheel\nlog: {runner.log}", fix=f"read {runner.log}"
            )
        with storage_errors(str(request.folder)):
            request.folder.mkdir(parents=True, exist_ok=True)
            for old in request.folder.glob("*.whl"):
                old.unlink()
            shutil.copyfile(made[0], request.folder / made[0].name)
            write_atomic(request.folder / "pyproject.toml", PROJECT.encode())
            write_atomic(request.folder / "editable_backend.py", BACKEND.encode())
    return request.folder


def installer_of(python: Path, asked: str) -> str:
    """`pip` where the environment has it, else `uv`; or what was asked for.

    Raises:
        ToolchainError: neither is there.
    """
    has_pip = process.capture([python, "-c", "import pip"]).code == 0
    uv = process.which("uv")
    if asked == "pip" or (asked == "auto" and has_pip):
        if not has_pip:
            raise ToolchainError(f"{python} has no pip", fix=f"{python} -m ensurepip, or --installer uv")
        return "pip"
    if uv is None:
        raise ToolchainError(
            f"{python} has no pip, and there is no uv on PATH"
            if asked == "auto"
            else "there is no uv on PATH",
            fix=f"install uv, or: {python} -m ensurepip",
        )
    return "uv"


def installed_version(python: Path, folder: Path) -> str | None:
    """The version of vLLM that an environment has from `folder`; None where it has none, or another one.

    Without PYTHONPATH, and away from any tree, whose own egg-info would answer. A user's own site counts:
    pip takes it where the interpreter's cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="winvllm-develop-") as outside:
        done = process.capture([python, "-E", "-c", ASK], cwd=Path(outside))
    if done.code != 0:
        return None
    version, address, is_editable = json.loads(done.text.splitlines()[-1])
    return str(version) if is_editable and _is_same(address, folder) else None


def _is_same(address: str, folder: Path) -> bool:
    """Whether a `file:` address, as installers note it, is that folder's."""
    parts = urlsplit(address)
    share = f"//{parts.netloc}" if parts.netloc not in ("", "localhost") else ""
    try:
        return Path(url2pathname(share + parts.path)).samefile(folder)
    except OSError:
        return False


def uninstall(python: Path) -> None:
    """Take vLLM out of an environment.

    Raises:
        ToolchainError: it is still there; names the command that takes it out.
    """
    installer = installer_of(python, "auto")
    words = (
        [str(python), "-m", "pip", "uninstall", "--yes", "vllm"]
        if installer == "pip"
        else ["uv", "pip", "uninstall", "--python", str(python), "vllm"]
    )
    done = process.capture(words)
    if done.code != 0:
        said = (done.error_text or done.text).strip().splitlines()
        raise ToolchainError(
            f"vLLM stays installed for {python}: {said[-1] if said else f'exit code {done.code}'}",
            fix=f"run this, then --undo again: {' '.join(words)}",
        )
