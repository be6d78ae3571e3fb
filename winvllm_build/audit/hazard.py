"""A hazard: what breaks under MSVC or on Windows, why, what it looks like, and how it is met."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER: Final = Path(__file__).with_name("data") / "hazards"
ID: Final = re.compile(r"([DE])(\d+)")


class Severity(Enum):
    """What happens where a hazard is met."""

    COMPILE = "blocks compile"
    """Configuring, compiling or linking ends with an error."""
    RUNTIME = "breaks at run time"
    ADVISORY = "advisory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file that has the hazard, and the same file repaired; `path` decides which rules read it."""

    path: str
    bad: str
    good: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazard:
    """One entry of the catalogue.

    Attributes:
        id: `D` for compiling and linking with MSVC, `E` for running on Windows, and a number.
        title: a few words.
        severity: what happens.
        why: the cause.
        shows: the compiler's or Windows' own words, or its code.
        fix: how it is met so that Linux stays as it is.
        source: where the fact is from: documentation, or what was seen to fail.
        samples: what the rules find, and what they leave alone; none where no text of a tree shows it.
    """

    id: str
    title: str
    severity: Severity
    why: str
    shows: str
    fix: str
    source: str
    samples: tuple[Sample, ...] = ()


@cache
def catalogue() -> Mapping[str, Hazard]:
    """Every hazard by its id, D before E, by number.

    Raises:
        ValueError: a file of the catalogue is wrong: an id given twice, a field missing or unknown.
    """
    found: dict[str, Hazard] = {}
    for hazard in _read():
        if hazard.id in found or not ID.fullmatch(hazard.id):
            raise ValueError(f"{hazard.id} is no id, or is given twice")
        found[hazard.id] = hazard
    return dict(sorted(found.items(), key=lambda item: rank(item[0])))


def rank(hazard: str) -> tuple[str, int]:
    """The place of an id: D2 before D10, D before E."""
    match = ID.fullmatch(hazard)
    return (match[1], int(match[2])) if match else ("", 0)


def _read() -> Iterator[Hazard]:
    for file in sorted(FOLDER.glob("*.toml")):
        for name, entry in tomllib.loads(file.read_text("utf-8")).items():
            yield _hazard(name, entry)


def _hazard(name: str, entry: Mapping[str, Any]) -> Hazard:
    fields = {key: value for key, value in entry.items() if key not in ("severity", "sample")}
    samples = tuple(Sample(**sample) for sample in entry.get("sample", ()))
    return Hazard(id=name, severity=Severity(entry["severity"]), samples=samples, **fields)
