"""Which Visual Studios are installed, as Microsoft's own vswhere lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError

VSWHERE: Final = PureWindowsPath("Microsoft Visual Studio/Installer/vswhere.exe")
OPTIONS: Final = ("-all", "-products", "*", "-format", "json", "-utf8", "-nologo")
SECONDS: Final = 120.0
INSTALL: Final = (
    "install the Build Tools with the C++ workload: `winget install Microsoft.VisualStudio.2022.BuildTools "
    '--override "--quiet --wait --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended"`'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One Visual Studio or Build Tools, with Visual C++ or not."""

    path: Path
    version: Version
    name: str


def installations(environment: Mapping[str, str]) -> tuple[Installation, ...]:
    """Every complete Visual Studio or Build Tools, newest first.

    Raises:
        ToolchainError: the Visual Studio Installer is not there, or does not answer.
    """
    for variable in ("PROGRAMFILES(X86)", "PROGRAMFILES"):
        program = Path(environment.get(variable, "")) / Path(*VSWHERE.parts)
        if environment.get(variable) and program.is_file():
            return parse(process.capture((str(program), *OPTIONS), env=environment, timeout=SECONDS).out)
    raise ToolchainError(
        "no Visual C++ compiler: the Visual Studio Installer (vswhere) is not there", fix=INSTALL
    )


def parse(output: bytes) -> tuple[Installation, ...]:
    """The complete installations that `vswhere -format json -utf8` lists, newest first.

    Raises:
        ToolchainError: the output is not vswhere's.
    """
    try:
        listed = json.loads(output.decode("utf-8-sig"))
    except ValueError as error:
        raise ToolchainError(
            "vswhere did not answer with JSON", fix="repair the Visual Studio Installer"
        ) from error
    entries = listed if isinstance(listed, list) else []
    found = [installation for entry in entries if (installation := _installation(entry)) is not None]
    return tuple(sorted(found, key=lambda one: one.version, reverse=True))


def _installation(entry: Any) -> Installation | None:  # noqa: ANN401 - parsed JSON
    if not isinstance(entry, dict) or entry.get("isComplete") is False:
        return None
    try:
        return Installation(
            path=Path(entry["installationPath"]),
            version=Version(entry["installationVersion"]),
            name=str(entry.get("displayName", "Visual Studio")),
        )
    except (KeyError, TypeError, InvalidVersion):
        return None
