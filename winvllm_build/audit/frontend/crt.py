"""The C runtime's headers: Wine's, edited, below our stand-ins; laid down once for each version of both."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain.files import copy_tree
from winvllm_build.workspace import Workspace, locked, staged_folder

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA: Final = Path(__file__).parent.parent / "data"
STAND_INS: Final = DATA / "crt"
EDITS: Final = DATA / "crt.toml"
NOT_CLANG: Final = "not_clang.h"
PYCONFIG: Final = "pyconfig.h"
LOCK_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crt:
    """Two folders, to be searched in this order, before and after the STL; `digest` names their content."""

    stand_ins: Path
    wine: Path
    digest: str


def lay_down(headers: Path, workspace: Workspace) -> Crt:
    """Wine's C headers with their edits, and our stand-ins, in the workspace.

    Args:
        headers: Wine's header folder.
        workspace: where they go.

    Raises:
        ToolchainError: these headers of Wine are not the known ones.
        StorageError: they cannot be written.
    """
    source = headers / "msvcrt"
    digest = _digest([*_files(source), *_files(STAND_INS), EDITS])
    folder = workspace.toolchains / f"crt-{digest}"
    with locked(folder.with_name(f".{folder.name}.lock"), "the C runtime's headers", wait=LOCK_SECONDS):
        if not folder.is_dir():
            with staged_folder(folder) as staged:
                copy_tree(STAND_INS, staged / "stand-ins", keep=lambda file: file.suffix == ".h")
                (staged / "stand-ins" / PYCONFIG).unlink()
                left_out = {source / name for name in rules()["leave_out"]}
                copy_tree(source, staged / "wine", keep=lambda file: file not in left_out)
                _edit(staged / "wine", headers)
    return Crt(stand_ins=folder / "stand-ins", wine=folder / "wine", digest=digest)


def lay_down_python(include: Path, workspace: Workspace) -> Path:
    """Python's headers as on Windows: this machine's, with the stand-in for its configuration.

    Args:
        include: the folder with Python.h.
        workspace: where they go.

    Raises:
        StorageError: they cannot be written.
    """
    digest = _digest([STAND_INS / PYCONFIG, include / "patchlevel.h", include / "Python.h"])
    folder = workspace.toolchains / f"python-headers-{digest}"
    with locked(folder.with_name(f".{folder.name}.lock"), "Python's headers", wait=LOCK_SECONDS):
        if not folder.is_dir():
            with staged_folder(folder) as staged:
                copy_tree(include, staged, keep=lambda file: file.suffix == ".h")
                (staged / PYCONFIG).write_bytes((STAND_INS / PYCONFIG).read_bytes())
    return folder


@cache
def rules() -> dict[str, Any]:
    """`crt.toml`."""
    return tomllib.loads(EDITS.read_text("utf-8"))


def edited(name: str, text: str) -> str:
    """A header of Wine's as it is read.

    Raises:
        ValueError: it lacks a text that is to be edited.
    """
    for edit in rules()["edit"]:
        if edit["file"] == name:
            if edit["find"] not in text:
                raise ValueError(f"{name} lacks {edit['find']!r}")
            text = text.replace(edit["find"], edit["put"])
    return text


def _edit(folder: Path, headers: Path) -> None:
    for name in {edit["file"] for edit in rules()["edit"]}:
        file = folder / name
        try:
            file.write_text(edited(name, file.read_text("utf-8")), encoding="utf-8", newline="\n")
        except (ValueError, OSError) as error:
            raise ToolchainError(
                f"the headers in {headers} are not those of Wine 8.0: {error}",
                fix="install libwine-dev of Debian 12, or correct winvllm_build/audit/data/crt.toml",
            ) from error


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _digest(files: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for file in files:
        found.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()[:12]
