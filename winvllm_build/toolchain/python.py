"""The Python the extensions are built for: its version, its headers, what the kernel generators import."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
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
from winvllm_build.toolchain.python_files import BITS, PythonFiles, examine
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
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
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


def require(executable: Path, *, path: str | None = None) -> None:
    """Let an interpreter be asked, as far as it can be started at all.

    Args:
        executable: a file, or a name.
        path: where a name is looked for (default: PATH).

    Raises:
        ToolchainError: it cannot.
    """
    if process.which(str(executable), path=path) is not None:
        return
    if os.path.isdir(executable):  # noqa: PTH112 - is_dir() raises for what may not be looked at
        why = "is a folder"
    elif os.path.exists(executable):  # noqa: PTH110 - as above
        why = "cannot be executed"
    else:
        why = "is not on PATH" if executable.name == str(executable) else "does not exist"
    raise ToolchainError(
        f"the Python {executable} {why}",
        fix="name an interpreter that is there, as a file or by its name on PATH",
    )


def find_python(
    request: ToolchainRequest, *, workspace: Workspace, system: PlatformTag, env: Mapping[str, str]
) -> TargetPython:
    """The profile's interpreter, else the running one (of its virtual environment, where it is in one).

    Raises:
        ToolchainError: it does not run, is too old or too new, or has no headers to compile with.
    """
    executable = request.python or running_python()
    require(executable, path=env.get("PATH"))
    answer = _ask(executable, env)
    files = examine(executable, answer, system)
    refuse_unfit(files, request)
    if files.missing:
        raise ToolchainError(
            f"{executable} (Python {files.version}) has no {files.missing[0]}: "
            "extensions cannot be compiled for it",
            fix=headers_fix(files.version, system),
        )
    return TargetPython(
        executable=executable,
        version=files.version,
        include=files.header.parent,
        library=files.library,
        sites=files.sites,
        torch=Path(answer["torch"]) if answer["torch"] else None,
        extra_path=() if answer["jinja2"] else (generator_modules(workspace),),
    )


def python_files(executable: Path | None, *, system: PlatformTag, env: Mapping[str, str]) -> PythonFiles:
    """What an interpreter, by default the running one, has to compile with; whether it fits is not asked.

    Raises:
        ToolchainError: it does not answer like Python.
    """
    executable = executable or running_python()
    require(executable, path=env.get("PATH"))
    return examine(executable, _ask(executable, env), system)


def headers_fix(version: Version, system: PlatformTag) -> str:
    short = f"{version.major}.{version.minor}"
    if system is PlatformTag.WINDOWS_AMD64:
        return f"use a Python that is not the embeddable one: `winget install Python.Python.{short}`"
    return (
        f"`sudo apt install python{short}-dev` (Debian, Ubuntu), or a Python that brings its headers: "
        f"`uv python install {short}`, then name it in the profile (python.executable)"
    )


def newer_fix(version: Version) -> str:
    short = f"{version.major}.{version.minor}"
    return f"install a newer Python {short}: `winget upgrade Python.Python.{short}`"


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


def refuse_unfit(files: PythonFiles, request: ToolchainRequest) -> None:
    """Let extensions be built for it and run by it, or say why not.

    Raises:
        ToolchainError: of another kind or version than the tag supports, or its header is wrong.
    """
    fix = "make a virtual environment with a Python that fits, and name it in the profile (python.executable)"
    executable = files.executable
    if files.implementation != "cpython" or files.bits != BITS:
        raise ToolchainError(f"{executable} is not a 64-bit CPython", fix=fix)
    if files.is_free_threaded:
        raise ToolchainError(
            f"{executable} is a free-threaded Python; vLLM's extensions use the stable ABI, which it lacks",
            fix=fix,
        )
    if not request.python_version.contains(files.version, prereleases=True):
        raise ToolchainError(
            f"{executable} is Python {files.version}; this tag supports {request.python_version}", fix=fix
        )
    if files.lies:
        raise ToolchainError(
            f"{files.header.with_name('pyconfig.h')} says that Python {files.version} has no GIL, which is "
            "wrong: what is compiled with it links another library than this Python has",
            fix=newer_fix(files.version),
        )
