"""What a Visual Studio has of Visual C++, read from its folders: no vcvarsall, no compiler runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build.toolchain.vswhere import Installation

VCVARSALL: Final = "VC/Auxiliary/Build/vcvarsall.bat"
TOOLS_VERSION: Final = "VC/Auxiliary/Build/Microsoft.VCToolsVersion.default.txt"
TOOLS: Final = "VC/Tools/MSVC"
NAMED: Final = re.compile(r"14\.\d+\.\d+")
"""A folder of tools; its name becomes a word of a command."""
PROGRAMS: Final = "bin/Hostx64/x64"
COMPILER_MAJOR: Final = 5
"""cl of the tools 14.44 is 19.44, and its `_MSC_VER` 1944, since Visual Studio 2015."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MsvcTools:
    """One set of compiler tools.

    Attributes:
        version: of the tools, as their folder is named: 14.44.35207.
        is_default: what vcvarsall takes where nobody asks for others.
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
    """An installation, with its compilers; none where the C++ workload is not installed.

    Attributes:
        tools: in the order in which a build tries them: vcvarsall's own choice, then the newest.
    """

    installation: Installation
    tools: tuple[MsvcTools, ...]
    has_vcvarsall: bool

    def lacks(self, tools: MsvcTools) -> tuple[str, ...]:
        """The programs without which these tools are of no use."""
        missing = tuple(f"{name}.exe" for name in tools.missing)
        return missing if self.has_vcvarsall else (*missing, "vcvarsall.bat")


def read(installation: Installation) -> VisualStudio:
    newest = sorted(_tools(installation.path), key=lambda one: one.version, reverse=True)
    return VisualStudio(
        installation=installation,
        tools=tuple(sorted(newest, key=lambda one: not one.is_default)),
        has_vcvarsall=(installation.path / VCVARSALL).is_file(),
    )


def _tools(home: Path) -> Iterator[MsvcTools]:
    try:
        default = (home / TOOLS_VERSION).read_text("utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        default = ""
    for folder in (home / TOOLS).glob("14.*"):
        if not NAMED.fullmatch(folder.name):
            continue
        programs = folder / PROGRAMS
        yield MsvcTools(
            version=Version(folder.name),
            folder=folder,
            is_default=folder.name == default,
            missing=tuple(name for name in ("cl", "link", "lib") if not (programs / f"{name}.exe").is_file()),
        )
