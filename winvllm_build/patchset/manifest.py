"""What a person writes about a patch set: expectations, topics and layers of `patchset.toml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.manifest_table import Table, read_manifest
from winvllm_build.patchset import dropped
from winvllm_build.patchset.dropped import Dropped
from winvllm_build.suggest import did_you_mean

FILE: Final = "patchset.toml"
EXPECTED: Final = ("python", "torch", "cuda")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
MOST: Final = 64
"""Combinations of layers: each is composed and proven whenever the lock is written."""
NAME_WORDS: Final = "lower-case letters, digits, - and _"
VARIABLE: Final = re.compile(r"VLLM_[A-Z0-9_]+")
VARIABLE_WORDS: Final = "VLLM_ and capital letters, digits and _"
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
    """A group of patches with a folder of its own.

    Attributes:
        name: the folder's name.
        title: what it is, in one line.
        description: what for, and for whom.
        requires: layers that have to be there; the patches are made on top of them.
        conflicts: layers that cannot be there.
        variables: CMake variables of its own, which a build with the layer sets to ON.
    """

    name: str
    title: str
    description: str = ""
    requires: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


DEFAULT_LAYER: Final = Layer(name="windows", title="The port to Windows")
"""The required layer: always there, made for upstream's files; every other is optional and on top of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """This room's tables; `[upstream]` and `[dependency.*]` are read by `sources.pins`.

    `expect` is what is known before there is a checkout, and what no checkout says: Python, torch, CUDA.
    `layers` begin with the required one; the others follow as declared, each after those that it requires.
    """

    expect: Mapping[str, str]
    topics: tuple[Topic, ...]
    layers: tuple[Layer, ...]
    dropped: tuple[Dropped, ...] = ()

    def layer(self, name: str) -> Layer:
        return next(layer for layer in self.layers if layer.name == name)


def read(file: Path) -> Manifest:
    """Read `patchset.toml`.

    Raises:
        PatchError: not TOML, unknown keys or wrong types; all of them at once.
    """
    root = read_manifest(file)
    expect = root.table("expect")
    declared = {name: (_layer(name, table), table) for name, table in root.named("layer", NAME, NAME_WORDS)}
    made = Manifest(
        expect={} if expect is None else _expect(expect),
        topics=tuple(_topic(name, table) for name, table in root.named("topic", NAME, NAME_WORDS)),
        layers=_in_order(root, declared),
        dropped=dropped.read(root),
    )
    root.close()
    return made


def needed(layers: Mapping[str, Layer], name: str) -> frozenset[str]:
    """`name` and all that it requires, directly or not; without the required layer unless it is `name`."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        taken = waiting.pop()
        if taken not in found:
            found.add(taken)
            waiting += layers[taken].requires
    return frozenset(found)


def rivals(layers: Mapping[str, Layer], name: str) -> frozenset[str]:
    """What cannot be there beside `name`, whichever of the two says so."""
    return frozenset(layers[name].conflicts) | {
        other.name for other in layers.values() if name in other.conflicts
    }


def combinations(layers: Sequence[Layer]) -> list[tuple[Layer, ...]]:
    """Every combination that the layers allow, the required one alone first; at most `MOST` and one more."""
    known = {layer.name: layer for layer in layers}
    required, *optional = layers
    found: list[tuple[Layer, ...]] = [(required,)]
    for layer in optional:
        against = rivals(known, layer.name)
        for chosen in tuple(found):
            names = {other.name for other in chosen}
            if len(found) <= MOST and names >= set(layer.requires) and not names & against:
                found.append((*chosen, layer))
    return found


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
    made = Layer(
        name=name,
        title=table.optional_text("title", TEXT, TEXT_WORDS) or name,
        description=table.optional_text("description", TEXT, TEXT_WORDS) or "",
        requires=tuple(
            other
            for other in dict.fromkeys(table.texts("requires", NAME, NAME_WORDS))
            if other != DEFAULT_LAYER.name
        ),
        conflicts=tuple(dict.fromkeys(table.texts("conflicts", NAME, NAME_WORDS))),
        variables=tuple(dict.fromkeys(table.texts("variables", VARIABLE, VARIABLE_WORDS))),
    )
    table.finish()
    return made


def _in_order(root: Table, declared: Mapping[str, tuple[Layer, Table]]) -> tuple[Layer, ...]:
    """The required layer, then the others; what is wrong with them is reported to their tables."""
    required = declared[DEFAULT_LAYER.name][0] if DEFAULT_LAYER.name in declared else DEFAULT_LAYER
    layers = {DEFAULT_LAYER.name: required} | {name: layer for name, (layer, _) in declared.items()}
    faults = [(table, fault) for layer, table in declared.values() for fault in _names_faults(layer, layers)]
    if not faults:
        faults = [
            (table, fault) for layer, table in declared.values() for fault in _graph_faults(layer, layers)
        ]
    for table, fault in faults:
        table.report(fault)
    ordered: dict[str, Layer] = {}
    if not faults:
        for name in layers:
            _place(name, layers, ordered)
        if len(combinations(tuple(ordered.values()))) > MOST:
            root.report(
                f"the layers can be combined in more than {MOST} ways, each of which has to be proven; "
                "say which conflict, or which require another"
            )
    return tuple(ordered.values())


def _place(name: str, layers: Mapping[str, Layer], ordered: dict[str, Layer]) -> None:
    for other in layers[name].requires:
        _place(other, layers, ordered)
    ordered.setdefault(name, layers[name])


def _names_faults(layer: Layer, layers: Mapping[str, Layer]) -> Iterator[str]:
    if layer.name == DEFAULT_LAYER.name and (layer.requires or layer.conflicts):
        yield "the required layer requires nothing and has no conflicts"
        return
    for key, names in (("requires", layer.requires), ("conflicts", layer.conflicts)):
        for name in names:
            if name not in layers:
                yield f"`{key}` names the unknown layer {name!r}{did_you_mean(name, layers)}"
            elif name == layer.name:
                yield f"`{key}` names the layer itself"
    if DEFAULT_LAYER.name in layer.conflicts:
        yield f"`conflicts` names {DEFAULT_LAYER.name}, which is always there"


def _graph_faults(layer: Layer, layers: Mapping[str, Layer]) -> Iterator[str]:
    behind = sorted({name for other in layer.requires for name in needed(layers, other)})
    if layer.name in behind:
        yield f"it requires itself, by way of {', '.join(name for name in behind if name != layer.name)}"
        return
    for name in (layer.name, *behind):
        for rival in sorted(rivals(layers, name) & set(behind)):
            if name == layer.name or name < rival:
                yield f"it can never be chosen: {name} and {rival} conflict, and it needs both"
