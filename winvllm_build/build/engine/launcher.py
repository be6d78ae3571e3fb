"""The gate's launcher: laid down where its path stays the same, and named to CMake."""

from __future__ import annotations

import py_compile
import sys
import tempfile
from pathlib import Path
from typing import Final

from winvllm_build.workspace import Workspace, write_atomic

SOURCE: Final = Path(__file__).parent / "data" / "launcher.py"
KINDS: Final = ("CMAKE_CXX_COMPILER_LAUNCHER", "CMAKE_CUDA_COMPILER_LAUNCHER", "CMAKE_CXX_LINKER_LAUNCHER")


def install(workspace: Workspace) -> Path:
    """The launcher, compiled for this Python; its path names neither checkout nor release.

    A build's commands begin with it, and Ninja makes again what has another command.

    Raises:
        StorageError: the workspace cannot be written.
    """
    place = workspace.root / "gate" / (sys.implementation.cache_tag or "python") / "launcher.pyc"
    content = compiled(SOURCE)
    try:
        held = place.read_bytes()
    except OSError:
        held = b""
    if held != content:
        write_atomic(place, content)
    return place


def compiled(source: Path) -> bytes:
    """The byte code of a script; the same for the same text."""
    with tempfile.TemporaryDirectory() as folder:
        made = py_compile.compile(
            str(source), cfile=str(Path(folder) / "made.pyc"), dfile=source.name, doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )  # fmt: skip
        return Path(str(made)).read_bytes()


def definitions(script: Path) -> dict[str, str]:
    """CMake's cache entries for a build whose edges ask the gate."""
    words = f"{interpreter()};-I;-S;{script.as_posix()}"
    return dict.fromkeys(KINDS, words)


def interpreter() -> str:
    """The Python under a virtual environment: on Windows the environment's own starts a second process."""
    return Path(getattr(sys, "_base_executable", "") or sys.executable).as_posix()
