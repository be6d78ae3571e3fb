"""What the machine has to give: Wine and its headers, clang, Microsoft's STL; what lacks is told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.sources.archive import extract
from winvllm_build.workspace import Workspace, locked, sha256_of

WINE_NAMES: Final = ("wine64", "wine", "wine-stable", "wine64-stable")
WINE_FOLDERS: Final = (Path("/usr/lib/wine"), Path("/opt/wine-stable/bin"), Path("/opt/wine-devel/bin"))
"""Debian's `wine64` puts its program into a folder that is not on PATH."""
HEADER_FOLDERS: Final = (
    Path("/usr/include/wine/wine"), Path("/usr/include/wine"), Path("/opt/wine-stable/include/wine"),
)  # fmt: skip
CLANG_NAMES: Final = ("clang-19", "clang-20", "clang-18", "clang")
CLANG_LEAST: Final = Version("18.1")
"""Below this the STL of 17.13 says STL1000 and stops."""
STL_TAG: Final = "vs-2022-17.13"
STL_UPDATE: Final = "202411"
"""`_MSVC_STL_UPDATE` of that tag; newer ones want a newer compiler and CUDA 13.3."""
MSC_VERSION: Final = 1943
"""The compiler that goes with that STL (17.13)."""
UPDATE: Final = re.compile(r"#define _MSVC_STL_UPDATE\s+(\d+)L")
CLANG_VERSION: Final = re.compile(r"clang version (\d+(?:\.\d+)*)")
SECONDS: Final = 60.0
STL_FIX: Final = (
    f"git clone --depth 1 --branch {STL_TAG} https://github.com/microsoft/STL, then --stl STL "
    "(a folder or an archive)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts that are not ours and not NVIDIA's.

    Attributes:
        wine: the loader for 64-bit programs.
        wine_version: as it says it, `wine-8.0 (...)`.
        headers: Wine's header folder, with `msvcrt` and `windows`.
        clang: the C++ compiler whose preprocessor is used.
        stl: the folder with `vector` and `yvals_core.h`.
        stl_update: its `_MSVC_STL_UPDATE`.
    """

    wine: Path
    wine_version: str
    headers: Path
    clang: Path
    clang_version: Version
    stl: Path
    stl_update: str


def find(stl: Path | None, workspace: Workspace, environment: Mapping[str, str]) -> Parts:
    """Everything, or one error that names each part that lacks and how it is installed.

    Args:
        stl: a checkout, a folder or an archive of Microsoft's STL.
        workspace: where an archive is unpacked.
        environment: for PATH.

    Raises:
        ToolchainError: something lacks.
        SourceError: the archive is damaged or unsafe.
    """
    path = environment.get("PATH")
    missing: list[tuple[str, str]] = []
    wine = _program(WINE_NAMES, path, WINE_FOLDERS)
    if wine is None:
        missing.append(("wine for 64-bit programs", "apt-get install --no-install-recommends wine64"))
    headers = next((f for f in HEADER_FOLDERS if _has_headers(f)), None)
    if headers is None:
        missing.append(("Wine's C headers", "apt-get install --no-install-recommends libwine-dev"))
    clang = _clang(path)
    if clang is None:
        missing.append((f"clang {CLANG_LEAST} or newer", "apt-get install --no-install-recommends clang-19"))
    found = _stl(stl, workspace)
    if isinstance(found, str):
        missing.append((found, STL_FIX))
    if wine is None or headers is None or clang is None or isinstance(found, str):
        raise lacking(missing)
    said = process.capture([wine, "--version"], env=dict(environment), timeout=SECONDS).text.strip()
    return Parts(
        wine=wine, wine_version=said, headers=headers, clang=clang[0], clang_version=clang[1],
        stl=found[0], stl_update=found[1],
    )  # fmt: skip


def lacking(missing: Iterable[tuple[str, str]]) -> ToolchainError:
    """One error for parts that lack, with what installs each."""
    listed = list(missing)
    lines = [f"  {what}: {fix}" for what, fix in listed]
    return ToolchainError(
        "\n".join(["the Windows front ends cannot run here, for want of", *lines]),
        fix="install them (Debian 12 has the packages), then run the same command again",
    )


def read_stl(folder: Path) -> tuple[Path, str] | str:
    """The header folder in a checkout and its `_MSVC_STL_UPDATE`, or why it is none."""
    for include in (folder / "stl" / "inc", folder / "inc", folder):
        core = include / "yvals_core.h"
        if core.is_file():
            match = UPDATE.search(core.read_text("utf-8", "replace"))
            update = match[1] if match else "unknown"
            if update != STL_UPDATE:
                return f"Microsoft's STL at {STL_TAG} ({folder} is at update {update}, not {STL_UPDATE})"
            return include, update
    return f"Microsoft's STL at {STL_TAG} ({folder} has no stl/inc/yvals_core.h)"


def _stl(given: Path | None, workspace: Workspace) -> tuple[Path, str] | str:
    if given is None:
        return f"Microsoft's STL at {STL_TAG} (--stl)"
    if not given.exists():
        return f"Microsoft's STL at {STL_TAG} ({given} does not exist)"
    if given.is_dir():
        return read_stl(given)
    folder = workspace.toolchains / f"stl-{sha256_of(given)[:12]}"
    with locked(folder.with_name(f".{folder.name}.lock"), "Microsoft's STL", wait=SECONDS):
        if not folder.is_dir():
            extract(given, folder)
    inner = [folder, *(child for child in sorted(folder.iterdir()) if child.is_dir())]
    answers = [read_stl(child) for child in inner]
    return next((found for found in answers if not isinstance(found, str)), answers[0])


def _program(names: Iterable[str], path: str | None, folders: Iterable[Path] = ()) -> Path | None:
    for name in names:
        found = process.which(name, path=path)
        if found is not None:
            return found
        for folder in folders:
            if (folder / name).is_file():
                return folder / name
    return None


def _has_headers(folder: Path) -> bool:
    return (folder / "msvcrt" / "corecrt.h").is_file() and (folder / "windows" / "winnt.h").is_file()


def _clang(path: str | None) -> tuple[Path, Version] | None:
    for name in CLANG_NAMES:
        found = process.which(name, path=path)
        if found is None:
            continue
        said = CLANG_VERSION.search(process.capture([found, "--version"], timeout=SECONDS).text)
        if said is not None and Version(said[1]) >= CLANG_LEAST:
            return found, Version(said[1])
    return None
