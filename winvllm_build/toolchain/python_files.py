"""What an interpreter has to compile extensions with: headers, import library, and known faults of both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.version import Version

from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.torch_version import TorchVersion, read_version

NO_GIL: Final = re.compile(r"^[ \t]*#[ \t]*define[ \t]+Py_GIL_DISABLED\b", re.MULTILINE)
"""In the header of a Python with a GIL: reported of 3.13.4 for Windows, 3.14.0b1 and 3.13.0a4
(python/cpython #135151, #133779, #115582). What is compiled then links pythonXYt.lib."""
EMBEDDED: Final = "python*._pth"
BITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonFiles:
    """An interpreter, fit for a build or not.

    Attributes:
        executable: as it was asked.
        header: Python.h, where it should be.
        library: `pythonXY.lib`, where it should be; None off Windows.
        missing: which of the two are not there.
        is_embedded: the embeddable package of python.org, which has neither.
        is_free_threaded: a build without the GIL.
        lies: its pyconfig.h says that it has no GIL, and it has one.
        torch: the installed torch, as its version.py tells; None where there is none.
        torch_package: its folder.
    """

    executable: Path
    version: Version
    implementation: str
    bits: int
    header: Path
    library: Path | None
    missing: tuple[Path, ...]
    sites: tuple[Path, ...]
    is_embedded: bool = False
    is_free_threaded: bool = False
    lies: bool = False
    torch: TorchVersion | None = None
    torch_package: Path | None = None


def examine(executable: Path, answer: Mapping[str, Any], system: PlatformTag) -> PythonFiles:
    """The files of an interpreter that answered."""
    version, include = Version(answer["version"]), Path(answer["include"])
    header, library = include / "Python.h", import_library(answer, version, system)
    package = Path(answer["torch"]).parent if answer.get("torch") else None
    free = bool(answer.get("free_threaded"))
    needed = [header, *([library] if library is not None else [])]
    return PythonFiles(
        executable=executable,
        version=version,
        implementation=str(answer["implementation"]),
        bits=int(answer["bits"]),
        header=header,
        library=library,
        missing=tuple(file for file in needed if not file.is_file()),
        sites=tuple(Path(site) for site in answer["sites"]),
        is_embedded=any(Path(answer["base"]).glob(EMBEDDED)),
        is_free_threaded=free,
        lies=not free and claims_no_gil(include),
        torch=None if package is None else read_version(package),
        torch_package=package,
    )


def import_library(answer: Mapping[str, Any], version: Version, system: PlatformTag) -> Path | None:
    """Windows keeps it with the base installation, not in a virtual environment."""
    if system is not PlatformTag.WINDOWS_AMD64:
        return None
    return Path(answer["base"]) / "libs" / f"python{version.major}{version.minor}.lib"


def claims_no_gil(include: Path) -> bool:
    """Whether pyconfig.h defines Py_GIL_DISABLED, other than in a comment."""
    try:
        return NO_GIL.search((include / "pyconfig.h").read_text("utf-8", "replace")) is not None
    except OSError:
        return False
