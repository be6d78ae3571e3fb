"""What a Visual Studio has of Visual C++, read from its folders: no vcvarsall, no compiler runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from winvllm_build.toolchain.msvc import TOOLS_VERSION, VCVARSALL, Installation

TOOLS: Final = "VC/Tools/MSVC"
PROGRAMS: Final = "bin/Hostx64/x64"
COMPILER_MAJOR: Final = 5
"""cl of the tools 14.44 is 19.44, and its `_MSC_VER` 1944, since Visual Studio 2015."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MsvcTools:
    """One set of compiler tools.

    Attributes:
        version: of the tools, as their folder is named: 14.44.35207.
        is_default: what vcvarsall takes.
        missing: programs of x64 that are not there.
    """

    version: Version
    folder: Path
    is_default: bool
    missing: tuple[str, ...] = ()

    @property
    def compiler(self) -> Version:
        """The version that cl tells: 19.44.35207."""
        return Version(f"{self.version.major + COMPILER_MAJOR}.{self.version.minor}.{self.version.micro}")

    @property
    def cl(self) -> Path:
        return self.folder / PROGRAMS / "cl.exe"


@dataclass(frozen=True, slots=True, kw_only=True)
class VisualStudio:
    """An installation, with its compilers; none where the C++ workload is not installed."""

    installation: Installation
    tools: tuple[MsvcTools, ...]
    has_vcvarsall: bool

    @property
    def chosen(self) -> MsvcTools | None:
        """The tools that vcvarsall takes."""
        return next((tools for tools in self.tools if tools.is_default), None)


def read(installation: Installation) -> VisualStudio:
    return VisualStudio(
        installation=installation,
        tools=tuple(sorted(_tools(installation.path), key=lambda one: one.version, reverse=True)),
        has_vcvarsall=(installation.path / VCVARSALL).is_file(),
    )


def _tools(home: Path) -> Iterator[MsvcTools]:
    try:
        default = (home / TOOLS_VERSION).read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        default = ""
    for folder in (home / TOOLS).glob("14.*"):
        try:
            version = Version(folder.name)
        except InvalidVersion:
            continue
        programs = folder / PROGRAMS
        yield MsvcTools(
            version=version,
            folder=folder,
            is_default=folder.name == default,
            missing=tuple(name for name in ("cl", "link", "lib") if not (programs / f"{name}.exe").is_file()),
        )
