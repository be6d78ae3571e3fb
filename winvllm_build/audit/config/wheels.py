"""Which packages can be installed on Windows, from a file that `scripts/windows_wheels.py` writes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parents[1] / "data" / "windows_wheels.toml"
COMMON: Final = {
    "implementation_name": "cpython", "platform_python_implementation": "CPython", "python_version": "3.12",
    "python_full_version": "3.12.8", "implementation_version": "3.12.8", "platform_release": "",
    "platform_version": "",
}  # fmt: skip
ENVIRONMENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "windows": COMMON
    | {"os_name": "nt", "sys_platform": "win32", "platform_machine": "AMD64", "platform_system": "Windows"},
    "linux": COMMON
    | {"os_name": "posix", "sys_platform": "linux", "platform_machine": "x86_64", "platform_system": "Linux"},
}
"""What markers see: CPython's `platform` module spells x86_64 AMD64 on Windows."""


class Kind(Enum):
    """What a package, or one version of it, publishes."""

    WINDOWS = "windows"
    """Wheels for win_amd64, or for every platform."""
    LINUX = "linux"
    """Wheels, and none of them for Windows."""
    SOURCE = "source"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheels:
    """One package.

    Attributes:
        kind: the best that any version has.
        newest: the newest version that was there; empty where none was.
        lacks: versions with wheels, none of them for Windows.
        needs: by version, what it asks for on Windows that publishes nothing for it.
        extras: those that `needs` counts.
    """

    kind: Kind
    newest: str
    lacks: tuple[str, ...]
    needs: Mapping[str, tuple[str, ...]]
    extras: tuple[str, ...]


@cache
def read() -> Mapping[str, Wheels]:
    """Every package that is known, by its normalised name."""
    return {
        name: Wheels(
            kind=Kind(entry["kind"]), newest=entry.get("newest", ""), lacks=tuple(entry.get("lacks", ())),
            needs={version: tuple(names) for version, names in entry.get("needs", {}).items()},
            extras=tuple(entry.get("extras", ())),
        )
        for name, entry in tomllib.loads(FILE.read_text("utf-8")).items()
    }  # fmt: skip
