"""What is true on Linux, as data (`audit/data/guard.toml`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parents[1] / "data" / "guard.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The tables of the file.

    Attributes:
        values: what a dotted name, or a call without arguments, is.
        machine: the call that names the machine.
        never: what it is never.
        has: whether a module has an attribute.
        present: modules that can be imported.
        absent: modules that cannot.
        equal: names that are a constant.
        defaults: arguments that a function takes anyway, as Python writes them.
        integers: the same where the value's type may differ.
        quiet: modules that only define when they are imported.
        cmake: conditions, quotes left out.
        generator: conditions of generator expressions that are false.
        colons: variables of the environment that hold no `;`.
        machines: what `platform_machine` can be.
        pythons: versions of Python.
    """

    values: Mapping[str, str]
    machine: str
    never: frozenset[str]
    has: Mapping[str, bool]
    present: frozenset[str]
    absent: frozenset[str]
    equal: Mapping[str, str]
    defaults: Mapping[str, Mapping[str, str]]
    integers: Mapping[str, Mapping[str, str]]
    quiet: frozenset[str]
    cmake: Mapping[str, bool]
    generator: tuple[str, ...]
    colons: frozenset[str]
    machines: tuple[str, ...]
    pythons: tuple[str, ...]


@cache
def facts() -> Facts:
    tables: dict[str, Any] = tomllib.loads(FILE.read_text("utf-8"))
    python, cmake, requirements = tables["python"], tables["cmake"], tables["requirements"]
    return Facts(
        values=python["values"], machine=python["machine"]["call"],
        never=frozenset(python["machine"]["never"]), has=python["has"],
        present=frozenset(python["modules"]["present"]), absent=frozenset(python["modules"]["absent"]),
        equal=python["equal"],
        defaults={
            name: {key: _written(value) for key, value in arguments.items()}
            for name, arguments in python["defaults"].items()
        },
        integers=python["integers"], quiet=frozenset(python["imports"]["quiet"]), cmake=cmake["known"],
        generator=tuple(cmake["generator"]["never"]), colons=frozenset(cmake["colons"]["variables"]),
        machines=tuple(requirements["machines"]), pythons=tuple(requirements["pythons"]),
    )  # fmt: skip


def _written(value: str | int | bool) -> str:  # noqa: FBT001 - whatever the table holds
    """As Python writes it; `"None"` stands for None."""
    return value if value == "None" else repr(value)
