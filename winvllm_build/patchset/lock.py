"""The proof beside the patches: what each file is before and after, generated, never edited."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import PatchError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset import advice
from winvllm_build.patchset.diff import Change, Diff
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.paths import path_fault

FILE: Final = "patchset.lock"
SCHEMA: Final = 1
HEX40: Final = re.compile(r"[0-9a-f]{40}")
HEX64: Final = re.compile(r"[0-9a-f]{64}")
HEX12: Final = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreePair:
    """One way a source comes (git checkout, sdist): its tree, and that tree patched if it was at hand."""

    base: Oid
    patched: Oid | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchLock:
    """One patch: ids of the file before and after (`NO_OBJECT` for none) and of the diff itself."""

    layer: str
    change: Change
    modes: tuple[str, str]
    pre: Oid
    post: Oid
    sha256: str
    change_id: str

    @classmethod
    def of(cls, layer: str, diff: Diff, *, pre: Oid, post: Oid) -> PatchLock:
        return cls(
            layer=layer, change=diff.change, modes=diff.modes, pre=pre, post=post,
            sha256=diff.sha256, change_id=diff.change_id,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What one file is in a tree: its id and its mode (`NO_OBJECT` and zeros for no file)."""

    oid: Oid
    mode: str


Combined = Mapping[RepoPath, Mapping[str, Side]]
"""What files become that more than one layer changes, by `layers.Selection.key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLock:
    """One source tree (vLLM, or a vendored dependency).

    Attributes:
        commit: what the patches are for.
        trees: by the kind of source; `patched` with the required layer alone.
        patches: the required layer's patches.
        optional: those of the optional layers, by layer.
        combined: the proof of each combination of layers.
    """

    commit: Oid
    trees: Mapping[str, TreePair]
    patches: Mapping[RepoPath, PatchLock]
    optional: Mapping[str, Mapping[RepoPath, PatchLock]] = field(default_factory=dict)
    combined: Combined = field(default_factory=dict)

    def pair_of(self, base: Oid) -> TreePair | None:
        return next((pair for pair in self.trees.values() if pair.base == base), None)

    def of(self, layer: str) -> Mapping[RepoPath, PatchLock]:
        """The patches of one layer."""
        return self.optional.get(layer, {}) if layer != DEFAULT_LAYER.name else self.patches

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer that has patches here."""
        return (*([DEFAULT_LAYER.name] if self.patches else []), *self.optional)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """`patchset.lock`."""

    targets: Mapping[str, TargetLock]

    def serialise(self) -> bytes:
        """Sorted keys, LF, the same bytes for the same set on every machine."""
        data = {
            "schema": SCHEMA,
            "targets": {name: _target_data(target) for name, target in self.targets.items()},
        }
        return json.dumps(data, sort_keys=True, indent=1).encode("ascii") + b"\n"


def read(file: Path) -> Lock | None:
    """Read the lock; None if there is none.

    Raises:
        PatchError: not a lock of this schema.
    """
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PatchError(f"{file} is not valid JSON: {error}", fix=_fix(file)) from error
    try:
        if data["schema"] != SCHEMA:
            raise PatchError(
                f"{file} has schema {data['schema']!r}, this tool reads {SCHEMA}", fix=_fix(file)
            )
        return Lock(targets={name: _target(target) for name, target in data["targets"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PatchError(f"{file} is damaged: {error!r}", fix=_fix(file)) from error


def disagreements(
    locks: Mapping[RepoPath, PatchLock], patches: Mapping[RepoPath, tuple[str, Diff]]
) -> Iterator[tuple[RepoPath, str]]:
    """Where the lock and the patch files (layer and diff by path) differ: the path, and how in words."""
    for path in sorted({*locks, *patches}):
        locked = locks.get(path)
        if path not in patches:
            yield path, "in the lock, but there is no patch file"
        elif locked is None:
            yield path, "the patch file is not in the lock"
        else:
            layer, diff = patches[path]
            made = PatchLock.of(layer, diff, pre=diff.pre or locked.pre, post=diff.post or locked.post)
            if made != locked:
                names = (name for name in made.__slots__ if getattr(made, name) != getattr(locked, name))
                yield path, f"the patch file differs from the lock ({', '.join(sorted(names))})"


def _target_data(target: TargetLock) -> dict[str, Any]:
    data: dict[str, Any] = {
        "commit": target.commit,
        "trees": {kind: {"base": p.base, "patched": p.patched} for kind, p in target.trees.items()},
        "patches": {path: _patch_data(patch) for path, patch in target.patches.items()},
    }
    if target.optional:
        data["layers"] = {
            layer: {path: _patch_data(patch) for path, patch in patches.items()}
            for layer, patches in target.optional.items()
        }
    if target.combined:
        data["combined"] = {
            path: {key: f"{side.mode} {side.oid}" for key, side in sides.items()}
            for path, sides in target.combined.items()
        }
    return data


def _patch_data(patch: PatchLock) -> dict[str, Any]:
    return {
        "layer": patch.layer, "status": patch.change.value, "mode": list(patch.modes),
        "pre": patch.pre, "post": patch.post, "sha256": patch.sha256, "change_id": patch.change_id,
    }  # fmt: skip


def _target(data: Mapping[str, Any]) -> TargetLock:
    trees = {
        kind: TreePair(
            base=_oid(pair["base"]), patched=None if pair["patched"] is None else _oid(pair["patched"])
        )
        for kind, pair in data["trees"].items()
    }
    layers = {str(layer): _patches(found) for layer, found in data.get("layers", {}).items()}
    return TargetLock(
        commit=_oid(data["commit"]), trees=trees, patches=_patches(data["patches"]), optional=layers,
        combined={_path(path): _sides(sides) for path, sides in data.get("combined", {}).items()},
    )  # fmt: skip


def _patches(data: Mapping[str, Any]) -> dict[RepoPath, PatchLock]:
    return {_path(path): _patch(path, patch) for path, patch in data.items()}


def _sides(data: Mapping[str, Any]) -> dict[str, Side]:
    pairs = {str(key): str(side).split(" ") for key, side in data.items()}
    return {key: Side(oid=_oid(oid), mode=mode) for key, (mode, oid) in pairs.items()}


def _path(path: str) -> RepoPath:
    fault = path_fault(path)
    if fault is not None:
        raise ValueError(f"the path {path!r} {fault}")
    return RepoPath(path)


def _patch(path: str, data: Mapping[str, Any]) -> PatchLock:
    before, after = data["mode"]
    made = PatchLock(
        layer=str(data["layer"]), change=Change(data["status"]), modes=(str(before), str(after)),
        pre=_oid(data["pre"]), post=_oid(data["post"]),
        sha256=_digits(data["sha256"], HEX64), change_id=_digits(data["change_id"], HEX12),
    )  # fmt: skip
    if (made.pre == NO_OBJECT) != (made.change is Change.ADDED):
        raise ValueError(f"{path}: the ids do not fit the status")
    return made


def _oid(value: object) -> Oid:
    return Oid(_digits(value, HEX40))


def _digits(value: object, form: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ValueError(f"{value!r} is not an id")
    return value


def _fix(file: Path) -> str:
    return advice.restore([file], root=file.parent.parent, tag=file.parent.name)
