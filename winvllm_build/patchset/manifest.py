"""What a person writes about a patch set: expectations, topics and layers of `patchset.toml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.manifest_table import Table, read_manifest

FILE: Final = "patchset.toml"
EXPECTED: Final = ("python", "torch", "cuda")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_WORDS: Final = "lower-case letters, digits, - and _"
TEXT: Final = re.compile(r".+", re.DOTALL)
TEXT_WORDS: Final = "a text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """Why a group of patches exists."""

    name: str
    title: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A group of patches with a folder of its own; every layer of a set is applied."""

    name: str
    title: str


DEFAULT_LAYER: Final = Layer(name="windows", title="The port to Windows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """This room's tables; `[upstream]` and `[dependency.*]` are read by `sources.pins`.

    `expect` is what is known before there is a checkout, and what no checkout says: Python, torch, CUDA.
    """

    expect: Mapping[str, str]
    topics: tuple[Topic, ...]
    layers: tuple[Layer, ...]


def read(file: Path) -> Manifest:
    """Read `patchset.toml`.

    Raises:
        PatchError: not TOML, unknown keys or wrong types; all of them at once.
    """
    root = read_manifest(file)
    expect = root.table("expect")
    made = Manifest(
        expect={} if expect is None else _expect(expect),
        topics=tuple(_topic(name, table) for name, table in root.named("topic", NAME, NAME_WORDS)),
        layers=_with_default(
            tuple(_layer(name, table) for name, table in root.named("layer", NAME, NAME_WORDS))
        ),
    )
    root.close()
    return made


def _expect(table: Table) -> Mapping[str, str]:
    found = {name: table.optional_text(name, TEXT, TEXT_WORDS) for name in EXPECTED}
    table.finish()
    return {name: value for name, value in found.items() if value is not None}


def _topic(name: str, table: Table) -> Topic:
    made = Topic(
        name=name,
        title=table.optional_text("title", TEXT, TEXT_WORDS) or name,
        description=table.optional_text("description", TEXT, TEXT_WORDS) or "",
    )
    table.finish()
    return made


def _layer(name: str, table: Table) -> Layer:
    made = Layer(name=name, title=table.optional_text("title", TEXT, TEXT_WORDS) or name)
    table.finish()
    return made


def _with_default(declared: tuple[Layer, ...]) -> tuple[Layer, ...]:
    known = any(layer.name == DEFAULT_LAYER.name for layer in declared)
    return declared if known else (DEFAULT_LAYER, *declared)
