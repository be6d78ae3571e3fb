"""The Windows SDKs: which versions are there, with the resource compiler and the libraries of a build."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from winvllm_build.registry import Registry, text

ROOTS: Final = (
    r"HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows Kits\Installed Roots",
    r"HKLM\SOFTWARE\Microsoft\Windows Kits\Installed Roots",
)
"""The 32-bit view first, as vcvarsall does: the other may name a folder that was never filled."""
ROOT: Final = "KitsRoot10"
USUAL: Final = "Windows Kits/10"
LIBRARIES: Final = ("um/x64/kernel32.lib", "ucrt/x64/ucrt.lib")
HEADERS: Final = ("um/windows.h", "ucrt/stdio.h")
MARK: Final = "um/winsdkver.h"
"""By this header vcvarsall knows an SDK: one of programs alone, or of the C runtime alone, is none to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsSdk:
    """One version of the Windows 10 and 11 SDK.

    Attributes:
        version: as its folders are named: 10.0.26100.0.
        rc: the resource compiler for x64, if it is there.
        mt: the manifest tool.
        is_known: vcvarsall would take it, were it the newest.
        lacks: headers and libraries that a build needs and that are not there, below `root`.
    """

    version: Version
    root: Path
    rc: Path | None
    mt: Path | None
    is_known: bool = True
    lacks: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return self.rc is not None and self.mt is not None and not self.lacks


def find_sdks(registry: Registry, environment: Mapping[str, str]) -> tuple[WindowsSdk, ...]:
    """Every SDK with headers, libraries or programs, newest first."""
    found: dict[Version, WindowsSdk] = {}
    for root in dict.fromkeys(_roots(registry, environment)):
        for version, name in _versions(root):
            found.setdefault(version, _sdk(root, version, name))
    return tuple(sorted(found.values(), key=lambda one: one.version, reverse=True))


def chosen(sdks: Sequence[WindowsSdk]) -> WindowsSdk | None:
    """The one that vcvarsall takes."""
    return next((one for one in sdks if one.is_known), None)


def _roots(registry: Registry, environment: Mapping[str, str]) -> Iterator[Path]:
    for key in ROOTS:
        named = text(registry, key, ROOT)
        if named:
            yield Path(named)
    variables = {name.upper(): value for name, value in environment.items()}
    for name in ("PROGRAMFILES(X86)", "PROGRAMFILES"):
        if variables.get(name):
            yield Path(variables[name]) / USUAL


def _versions(root: Path) -> Iterator[tuple[Version, str]]:
    names = {folder.name for part in ("Include", "Lib", "bin") for folder in root.glob(f"{part}/10.*")}
    for name in names:
        try:
            yield Version(name), name
        except InvalidVersion:
            continue


def _sdk(root: Path, version: Version, name: str) -> WindowsSdk:
    programs = root / "bin" / name / "x64"
    needed = [
        *(f"Include/{name}/{header}" for header in HEADERS),
        *(f"Lib/{name}/{library}" for library in LIBRARIES),
    ]
    return WindowsSdk(
        version=version,
        root=root,
        rc=_there(programs / "rc.exe"),
        mt=_there(programs / "mt.exe"),
        is_known=_exists(root / f"Include/{name}/{MARK}"),
        lacks=tuple(file for file in needed if not _exists(root / file)),
    )


def _there(file: Path) -> Path | None:
    return file if file.is_file() else None


def _exists(file: Path) -> bool:
    """`Windows.h` is written in more than one way; on Windows any does."""
    return file.is_file() or any(one.name.lower() == file.name.lower() for one in file.parent.glob("*"))
