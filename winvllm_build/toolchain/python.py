"""The Python the extensions are built for: its version, its headers, what the kernel generators import."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.files import copy_tree
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.workspace import Workspace, locked, staged_folder

GENERATORS_NEED: Final = ("jinja2", "markupsafe")
"""What upstream's kernel generators import, and what that imports."""
SECONDS: Final = 60.0
QUESTION: Final = """
import importlib.util, json, sys, sysconfig
def where(name):
    found = importlib.util.find_spec(name)
    return found.origin if found else None
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "implementation": sys.implementation.name,
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "prefix": sys.prefix,
    "base": sys.base_prefix,
    "include": sysconfig.get_path("include"),
    "sites": list(dict.fromkeys([sysconfig.get_path("platlib"), sysconfig.get_path("purelib")])),
    "torch": where("torch"),
    "jinja2": where("jinja2"),
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPython:
    """An interpreter that answered.

    Attributes:
        include: the folder with Python.h.
        library: what a Windows extension links (`python312.lib`); None elsewhere.
        sites: its site-packages.
        torch: the installed torch's `__init__.py`, if there is one.
        extra_path: folders for PYTHONPATH that give it what the generators import.
    """

    executable: Path
    version: Version
    include: Path
    library: Path | None
    sites: tuple[Path, ...]
    torch: Path | None
    extra_path: tuple[Path, ...] = ()

    @property
    def short_version(self) -> str:
        return f"{self.version.major}.{self.version.minor}"


def running_python() -> Path:
    """The interpreter of this process by one name: `python3` and `python` of one folder are one build."""
    running = Path(sys.executable)
    plain = running.with_name(f"python{running.suffix if running.suffix == '.exe' else ''}")
    return plain if plain.is_file() and plain.samefile(running) else running


def find_python(
    request: ToolchainRequest, *, workspace: Workspace, system: PlatformTag, env: Mapping[str, str]
) -> TargetPython:
    """The profile's interpreter, else the running one (of its virtual environment, where it is in one).

    Raises:
        ToolchainError: it does not run, is too old or too new, or has no headers to compile with.
    """
    executable = request.python or running_python()
    answer = _ask(executable, env)
    version = Version(answer["version"])
    _check(executable, answer, version, request)
    include = Path(answer["include"])
    library = _import_library(answer, version, system)
    missing = headers_missing(include, library)
    if missing is not None:
        raise ToolchainError(
            f"{executable} (Python {version}) has no {missing}: extensions cannot be compiled for it",
            fix=headers_fix(version, system),
        )
    return TargetPython(
        executable=executable,
        version=version,
        include=include,
        library=library,
        sites=tuple(Path(site) for site in answer["sites"]),
        torch=Path(answer["torch"]) if answer["torch"] else None,
        extra_path=() if answer["jinja2"] else (generator_modules(workspace),),
    )


def headers_missing(include: Path, library: Path | None) -> Path | None:
    """The first file that compiling an extension needs and that is not there."""
    needed = [include / "Python.h", *([library] if library is not None else [])]
    return next((file for file in needed if not file.is_file()), None)


def headers_fix(version: Version, system: PlatformTag) -> str:
    short = f"{version.major}.{version.minor}"
    if system is PlatformTag.WINDOWS_AMD64:
        return f"use a Python that is not the embeddable one: `winget install Python.Python.{short}`"
    return (
        f"`sudo apt install python{short}-dev` (Debian, Ubuntu), or a Python that brings its headers: "
        f"`uv python install {short}`, then name it in the profile (python.executable)"
    )


def generator_modules(workspace: Workspace) -> Path:
    """A folder with our own jinja2, for an interpreter that has none; nothing else of ours gets into it."""
    versions = "-".join(importlib.metadata.version(name) for name in GENERATORS_NEED)
    folder = workspace.toolchains / f"generator-modules-{versions}"
    with locked(folder.with_name(f".{folder.name}.lock"), "the generators' modules", wait=SECONDS):
        if not folder.is_dir():
            with staged_folder(folder) as staged:
                copy_generator_modules(staged)
    return folder


def copy_generator_modules(folder: Path) -> None:
    """Our own jinja2 and what it imports, without compiled parts: they serve every Python."""
    for name in GENERATORS_NEED:
        copy_tree(_package(name), folder / name, keep=lambda file: file.suffix == ".py")


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise ToolchainError(f"{name} is missing from this tool's environment", fix=f"pip install {name}")
    return Path(found.origin).parent


def _ask(executable: Path, env: Mapping[str, str]) -> dict[str, Any]:
    done = process.capture([executable, "-I", "-c", QUESTION], env=env, timeout=SECONDS)
    try:
        answer = json.loads(done.text)
    except ValueError:
        answer = None
    if done.code != 0 or not isinstance(answer, dict):
        said = done.error_text.splitlines()
        raise ToolchainError(
            f"{executable} does not answer like Python" + (f": {said[-1]}" if said else ""),
            fix="set python.executable of the profile to a Python 3.10 or newer, or to auto",
        )
    return answer


def _check(executable: Path, answer: dict[str, Any], version: Version, request: ToolchainRequest) -> None:
    fix = "make a virtual environment with a Python that fits, and name it in the profile (python.executable)"
    if answer["implementation"] != "cpython" or answer["bits"] != 64:  # noqa: PLR2004 - bits of a pointer
        raise ToolchainError(f"{executable} is not a 64-bit CPython", fix=fix)
    if not request.python_version.contains(version, prereleases=True):
        raise ToolchainError(
            f"{executable} is Python {version}; this tag supports {request.python_version}", fix=fix
        )


def _import_library(answer: dict[str, Any], version: Version, system: PlatformTag) -> Path | None:
    """Windows keeps it with the base installation, not in a virtual environment."""
    if system is not PlatformTag.WINDOWS_AMD64:
        return None
    return Path(answer["base"]) / "libs" / f"python{version.major}{version.minor}.lib"
