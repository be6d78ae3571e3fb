"""What Python has on Linux and not on Windows."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parents[1] / "data" / "posix.toml"


@cache
def modules() -> frozenset[str]:
    """Modules whose import fails on Windows."""
    return frozenset(tomllib.loads(FILE.read_text("utf-8"))["modules"].split())


@cache
def names() -> Mapping[str, frozenset[str]]:
    """By module, the functions and constants that it has not on Windows."""
    found = tomllib.loads(FILE.read_text("utf-8"))["names"]
    return {module: frozenset(words.split()) for module, words in found.items()}


@cache
def programs() -> frozenset[str]:
    """Programs that a Windows machine has not on its PATH."""
    return frozenset(tomllib.loads(FILE.read_text("utf-8"))["programs"].split())


def lacks(module: str, name: str) -> bool:
    return name in names().get(module, ())
