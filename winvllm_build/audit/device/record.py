"""`device.json` of a patch set: which patched files were compiled before and after, and came out the same."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import PatchError
from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset import advice
from winvllm_build.workspace import write_atomic

FILE: Final = "device.json"
SCHEMA: Final = 1
HEX40: Final = re.compile(r"[0-9a-f]{40}")
Pair = tuple[Oid, Oid]
"""The blob ids of a file before and after."""


class Kind(enum.Enum):
    """What was compared."""

    TEXT = "text"
    """Lines that the preprocessor leaves for the host and for the device: then nothing else can differ."""
    PTX = "ptx"
    """Kernels, instruction by instruction; device functions and global variables besides."""
    HOST_TEXT = "host-text"
    """Lines that the CUDA front end hands to the host compiler."""
    HOST = "host"
    """Functions and data of the host compiler's assembly, not optimised."""
    GENERATED = "generated"
    """Files that a generator of the tree writes on Linux, byte by byte."""
    SELECTOR = "selector"
    """Configurations for which a generated header chooses a kernel, on Linux and on Windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not the same, and the words of a patch's header that say why."""

    kind: Kind
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One translation unit, or one run of a generator, that was made of both trees and compared.

    Attributes:
        source: what was compiled or run.
        arch: the compute capability, as in "8.6"; the list of a generator; empty for host code alone.
        options: what decides the result: definitions, the standard, and the like; no paths.
        compiler: its name and version.
        inputs: digest of everything both results depend on.
        files: the patched files that went into it.
        compared: how many things of each kind.
        differences: those of them that are not the same, each with its reason.
    """

    source: RepoPath
    arch: str
    options: tuple[str, ...]
    compiler: str
    inputs: str
    files: Mapping[RepoPath, Pair]
    compared: Mapping[Kind, int]
    differences: tuple[Difference, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.source, self.arch


@dataclass(frozen=True, slots=True, kw_only=True)
class Unproven:
    """A patched file for which a unit could not be compiled here: nothing is known, least of all equality."""

    path: RepoPath
    pair: Pair
    source: RepoPath | None
    arch: str
    why: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.path, self.source or "", self.arch


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What proves one patched file: never empty."""

    path: RepoPath
    units: tuple[Unit, ...]

    @property
    def differences(self) -> tuple[Difference, ...]:
        """What differs, each with its reason; none if everything is the same."""
        return tuple(found for unit in self.units for found in unit.differences)

    def count(self, kind: Kind) -> int:
        """How many things of a kind were compared in all units."""
        return sum(unit.compared.get(kind, 0) for unit in self.units)

    def words(self) -> str:
        """`3 kernels in merge_attn_states.cu are the same (nvcc 13.0.88, 8.6)`."""
        parts = [f"{self.count(kind)} {NAMES[kind]}" for kind in Kind if self.count(kind)]
        sources = ", ".join(dict.fromkeys(unit.source.rpartition("/")[2] for unit in self.units))
        by = ", ".join(dict.fromkeys(unit.compiler for unit in self.units if unit.compiler))
        archs = ", ".join(dict.fromkeys(unit.arch for unit in self.units if unit.arch))
        how = "; ".join(part for part in (by, archs) if part)
        same = f"all but {len(self.differences)} the same" if self.differences else "all the same"
        return f"{', '.join(parts)} of {sources} {same}" + (f" ({how})" if how else "")


NAMES: Final = {
    Kind.TEXT: "preprocessed lines",
    Kind.PTX: "PTX entries",
    Kind.HOST_TEXT: "lines of host code",
    Kind.HOST: "host symbols",
    Kind.GENERATED: "generated files",
    Kind.SELECTOR: "configurations",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """`device.json`; empty where a set has none."""

    units: tuple[Unit, ...] = ()
    unproven: tuple[Unproven, ...] = ()

    def confirms(
        self, path: RepoPath, pre: Oid, post: Oid, *, among: Mapping[RepoPath, Pair] | None = None
    ) -> Proof | None:
        """What proves that a change leaves compiled code as it was; None unless both ids are the proven ones.

        Args:
            path: the patched file.
            pre: its id before.
            post: its id after.
            among: the ids of all patched files: a unit that holds another file with other ids proves nothing.
        """
        found = tuple(
            unit
            for unit in self.units
            if unit.files.get(path) == (pre, post) and (among is None or _current(unit, among))
        )
        return Proof(path=path, units=found) if found else None

    def stale(self, among: Mapping[RepoPath, Pair]) -> tuple[RepoPath, ...]:
        """The files of the record whose ids are not those of the set any more."""
        told = [item for unit in self.units for item in unit.files.items()]
        told += [(found.path, found.pair) for found in self.unproven]
        return tuple(sorted({path for path, pair in told if among.get(path) != pair}))

    def with_units(self, units: Iterable[Unit], unproven: Iterable[Unproven]) -> Records:
        """These beside what is held of others; what is known of the same unit gives way."""
        new, open_ = tuple(units), tuple(unproven)
        keys = {unit.key for unit in new}
        units = (*(unit for unit in self.units if unit.key not in keys), *new)
        left = {found.key: found for found in (*self.unproven, *open_)}
        return Records(units=units, unproven=tuple(f for f in left.values() if not _answered(f, units)))

    def current(self, among: Mapping[RepoPath, Pair]) -> Records:
        """What of it is about these ids."""
        return Records(
            units=tuple(unit for unit in self.units if _current(unit, among)),
            unproven=tuple(found for found in self.unproven if among.get(found.path) == found.pair),
        )

    def serialise(self) -> bytes:
        """Sorted, LF, the same bytes for the same record on every machine."""
        data = {
            "schema": SCHEMA,
            "units": [_unit_data(unit) for unit in sorted(self.units, key=lambda unit: unit.key)],
            "unproven": [_unproven_data(u) for u in sorted(self.unproven, key=lambda u: u.key)],
        }
        return json.dumps(data, sort_keys=True, indent=1).encode("ascii") + b"\n"


def read(folder: Path) -> Records:
    """The record in the folder of a patch set; empty where there is none.

    Raises:
        PatchError: it is not a record of this schema.
    """
    file = folder / FILE
    fix = advice.command("audit", "device", folder.name, "--record", root=folder.parent)
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        return Records()
    except (ValueError, OSError) as error:
        raise PatchError(f"{file} is not valid JSON: {error}", fix=f"delete it, then `{fix}`") from error
    try:
        if data["schema"] != SCHEMA:
            raise PatchError(f"{file} has schema {data['schema']!r}, this tool reads {SCHEMA}", fix=fix)
        return Records(
            units=tuple(_unit(found) for found in data["units"]),
            unproven=tuple(_unproven(found) for found in data["unproven"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PatchError(f"{file} is damaged: {error!r}", fix=f"delete it, then `{fix}`") from error


def write(folder: Path, records: Records) -> Path:
    """Write the record into the folder of a patch set.

    Raises:
        StorageError: the folder cannot be written.
    """
    file = folder / FILE
    write_atomic(file, records.serialise())
    return file


def _answered(found: Unproven, units: Iterable[Unit]) -> bool:
    """Whether a unit is there now that proves what was open."""
    if found.source is None:
        return any(found.path in unit.files for unit in units)
    return (found.source, found.arch) in {unit.key for unit in units}


def _current(unit: Unit, among: Mapping[RepoPath, Pair]) -> bool:
    return all(among.get(path) == pair for path, pair in unit.files.items())


def _unit_data(unit: Unit) -> dict[str, Any]:
    made: dict[str, Any] = {
        "source": unit.source, "arch": unit.arch, "options": list(unit.options), "compiler": unit.compiler,
        "inputs": unit.inputs, "files": {path: list(pair) for path, pair in unit.files.items()},
        "compared": {kind.value: number for kind, number in unit.compared.items()},
    }  # fmt: skip
    if unit.differences:
        made["differences"] = [
            {"kind": d.kind.value, "name": d.name, "reason": d.reason} for d in unit.differences
        ]
    return made


def _unit(data: Mapping[str, Any]) -> Unit:
    return Unit(
        source=RepoPath(str(data["source"])), arch=str(data["arch"]),
        options=tuple(str(word) for word in data["options"]), compiler=str(data["compiler"]),
        inputs=str(data["inputs"]),
        files={RepoPath(str(path)): _pair(pair) for path, pair in data["files"].items()},
        compared={Kind(kind): int(number) for kind, number in data["compared"].items()},
        differences=tuple(
            Difference(kind=Kind(d["kind"]), name=str(d["name"]), reason=str(d["reason"]))
            for d in data.get("differences", ())
        ),
    )  # fmt: skip


def _unproven_data(found: Unproven) -> dict[str, Any]:
    return {
        "path": found.path, "pair": list(found.pair), "source": found.source, "arch": found.arch,
        "why": found.why,
    }  # fmt: skip


def _unproven(data: Mapping[str, Any]) -> Unproven:
    source = data["source"]
    return Unproven(
        path=RepoPath(str(data["path"])), pair=_pair(data["pair"]),
        source=None if source is None else RepoPath(str(source)), arch=str(data["arch"]),
        why=str(data["why"]),
    )  # fmt: skip


def _pair(value: Iterable[object]) -> Pair:
    pre, post = value
    return _oid(pre), _oid(post)


def _oid(value: object) -> Oid:
    if not isinstance(value, str) or not HEX40.fullmatch(value):
        raise ValueError(f"{value!r} is not an id")
    return Oid(value)
