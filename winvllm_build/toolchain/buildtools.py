"""cmake and ninja from this tool's own environment; others only where they are new enough."""

from __future__ import annotations

import importlib
import re
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.system import program

CMAKE_OLDEST: Final = Version("3.26")
"""`cmake_minimum_required` of every vLLM tag read so far."""
NINJA_OLDEST: Final = Version("1.10")
FOLDER_NAMES: Final = {"cmake": "CMAKE_BIN_DIR", "ninja": "BIN_DIR"}
"""The attribute of each wheel's module that names the folder of the program itself, not of its wrapper."""
NUMBER: Final = re.compile(r"\b(\d+\.\d+(?:\.\d+)?)")
SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    path: Path
    version: Version


def find_cmake(environment: Mapping[str, str], system: PlatformTag) -> Tool:
    """The CMake to configure with.

    Raises:
        ToolchainError: none is new enough.
    """
    return _find("cmake", CMAKE_OLDEST, environment, system)


def find_ninja(environment: Mapping[str, str], system: PlatformTag) -> Tool:
    """The ninja to build with.

    Raises:
        ToolchainError: none is new enough.
    """
    return _find("ninja", NINJA_OLDEST, environment, system)


def parse_tool_version(text: str) -> Version | None:
    """The first number of `--version`."""
    found = NUMBER.search(text)
    return Version(found.group(1)) if found else None


def _find(name: str, oldest: Version, environment: Mapping[str, str], system: PlatformTag) -> Tool:
    tried: list[str] = []
    for path in _places(name, environment, system):
        done = process.capture([path, "--version"], timeout=SECONDS)
        version = parse_tool_version(done.text) if done.code == 0 else None
        if version is not None and version >= oldest:
            return Tool(path=path, version=version)
        tried.append(f"  {path}: " + (f"{version} is too old" if version else "does not answer"))
    raise ToolchainError(
        "\n".join([f"no {name} of version {oldest} or newer", *tried]), fix=f"pip install '{name}>={oldest}'"
    )


def _places(name: str, environment: Mapping[str, str], system: PlatformTag) -> Iterator[Path]:
    file = program(name, system)
    folders = [Path(sysconfig.get_path("scripts"))]
    try:
        inside = getattr(importlib.import_module(name), FOLDER_NAMES[name], None)
    except ImportError:
        inside = None
    if isinstance(inside, str):
        folders.insert(0, Path(inside))
    yield from (folder / file for folder in folders if (folder / file).is_file())
    found = process.which(file, path=environment.get("PATH", ""))
    if found is not None:
        yield found
