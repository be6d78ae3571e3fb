"""What a person writes about a patch set: expectations, topics and layers of `patchset.toml`."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import PatchError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = "patchset.toml"
SCHEMA: Final = 1
TABLES: Final = ("schema", "upstream", "dependency", "expect", "topic", "layer")
EXPECT: Final[Mapping[str, type]] = {
    "python": str, "torch": str, "cuda": str, "cxx": int, "cmake": str, "msvc": str, "hints": list,
}  # fmt: skip
"""What cannot be read from the checkout; `hints` are sentences for the summary."""
TOPIC: Final[Mapping[str, type]] = {"title": str, "description": str}
LAYER: Final[Mapping[str, type]] = {"title": str, "required": bool}
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Why a group of patches exists."""

    name: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A group of patches that is switched on together; a required one always is."""

    name: str
    title: str
    required: bool = False


DEFAULT_LAYER: Final = Layer(name="windows", title="The port to Windows", required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """This room's tables; `[upstream]` and `[dependency.*]` are read by `sources.pins`."""

    expect: Mapping[str, Any]
    topics: tuple[Topic, ...]
    layers: tuple[Layer, ...]
    dependencies: tuple[str, ...]
    """Names only: each may be the target of patches."""


def read(file: Path) -> Manifest:
    """Read `patchset.toml`.

    Raises:
        PatchError: not TOML, unknown keys or wrong types; all of them at once.
    """
    try:
        data = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PatchError(f"{file} is not valid TOML: {error}", fix=f"correct {file}") from error
    faults = [*_unknown(data, TABLES, "")]
    if data.get("schema") != SCHEMA:
        faults.append(f"schema is {data.get('schema')!r}, this tool reads {SCHEMA}")
    expect = _table(data, "expect", faults)
    faults += _checked(expect, EXPECT, "expect.")
    topics = _records(data, "topic", TOPIC, faults)
    layers = _records(data, "layer", LAYER, faults)
    dependencies = _table(data, "dependency", faults)
    if faults:
        raise PatchError("\n".join(f"{file}: {fault}" for fault in faults), fix=f"correct {file}")
    declared = tuple(
        Layer(name=name, title=layer.get("title", name), required=layer.get("required", False))
        for name, layer in layers.items()
    )
    return Manifest(
        expect=expect,
        topics=tuple(
            Topic(name=name, title=topic.get("title", name), description=topic.get("description", ""))
            for name, topic in topics.items()
        ),
        layers=declared if any(layer.name == DEFAULT_LAYER.name for layer in declared)
        else (DEFAULT_LAYER, *declared),
        dependencies=tuple(dependencies),
    )  # fmt: skip


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean ...?` or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _unknown(table: Mapping[str, Any], known: Iterable[str], prefix: str) -> Iterable[str]:
    names = list(known)
    return (f"unknown key {prefix}{key}{suggestion(key, names)}" for key in table if key not in names)


def _checked(table: Mapping[str, Any], fields: Mapping[str, type], prefix: str) -> Iterable[str]:
    yield from _unknown(table, fields, prefix)
    for key, value in table.items():
        kind = fields.get(key)
        if kind is not None and type(value) is not kind:
            yield f"{prefix}{key} is {value!r}, expected a {kind.__name__}"


def _table(data: Mapping[str, Any], name: str, faults: list[str]) -> Mapping[str, Any]:
    table = data.get(name, {})
    if isinstance(table, dict):
        return table
    faults.append(f"{name} is {table!r}, expected a table [{name}]")
    return {}


def _records(
    data: Mapping[str, Any], name: str, fields: Mapping[str, type], faults: list[str]
) -> dict[str, Mapping[str, Any]]:
    """The tables `[name.*]`, each checked; broken ones are reported and left out."""
    found: dict[str, Mapping[str, Any]] = {}
    for key, value in _table(data, name, faults).items():
        if not NAME.fullmatch(key):
            faults.append(f"{name}.{key}: names are lower-case letters, digits, - and _")
        elif not isinstance(value, dict):
            faults.append(f"{name}.{key} is {value!r}, expected a table")
        else:
            faults += _checked(value, fields, f"{name}.{key}.")
            found[key] = value
    return found
