"""A ported set on disk: patch files, record and lock, proven first, the lock last."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import lock, patchset, record, rewrite, tree
from winvllm_build.patchset.layers import Composer, combine
from winvllm_build.patchset.lock import Lock, PatchLock, TargetLock, TreePair
from winvllm_build.patchset.manifest import DEFAULT_LAYER, Manifest
from winvllm_build.patchset.patchfile import SUFFIX, PatchFile
from winvllm_build.patchset.patchset import Patch
from winvllm_build.patchset.record import Record
from winvllm_build.patchset.rewrite import Plan, RegenResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered:
    """The patches of one layer for the new tag, and the two trees they stand between."""

    layer: str
    base: Oid
    patched: Oid
    files: Mapping[RepoPath, PatchFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One source tree of the new tag: how it came (`git`, `sdist`), its commit and its tree."""

    target: str
    kind: str
    commit: Oid
    base: Oid


def write_set(
    folder: Path, rules: Manifest, grounds: Sequence[tuple[Git, Ground, Sequence[Layered]]], made: Record,
    *, copies: Sequence[Patch], locks: Mapping[str, TargetLock], command: str,
) -> RegenResult:  # fmt: skip
    """Write a set; patches that are there and no longer wanted go.

    Args:
        folder: the new set's.
        rules: its manifest.
        grounds: each source tree with a scratch repository that has it, and its patches in the order in
            which layers are combined.
        made: the record of the port.
        copies: patches of source trees that did not change.
        locks: the lock's word on those.
        command: what does the same again.

    Raises:
        PatchError: the round trip failed; nothing was written.
        ConflictError: two layers cannot be combined on the new tag; nothing was written.
        StorageError: the disk refused; a later run finishes.
    """
    begun = time.monotonic()
    wanted: dict[Path, bytes | None] = dict.fromkeys(_present(folder))
    targets = dict(locks)
    everything = [layer for _, _, layers in grounds for layer in layers]
    for git, ground, layers in grounds:
        for layer in layers:
            rewrite.prove(git, layer.base, layer.patched, layer.files)
            wanted |= {
                patchset.place_of(folder, layer.layer, ground.target, path).file: file.serialise()
                for path, file in layer.files.items()
            }
        targets[ground.target] = _locked(git, rules, ground, layers)
    for patch in copies:
        place = patchset.place_of(folder, patch.layer, patch.target, patch.path)
        wanted[place.file] = patch.content.serialise()
    wanted[folder / record.FILE] = made.serialise()
    planned = Plan(
        files=wanted, lock=Lock(targets=targets).serialise(), lock_file=folder / lock.FILE, command=command,
        orphans=_orphans(everything), findings=_findings(everything),
    )  # fmt: skip
    return rewrite.carry_out(planned, begun, check=False)


def _present(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob(f"*/*/**/*{SUFFIX}")) if file.is_file()]


def _locked(git: Git, rules: Manifest, ground: Ground, layers: Sequence[Layered]) -> TargetLock:
    locks: dict[str, dict[RepoPath, PatchLock]] = {}
    patches: list[Patch] = []
    for layer in layers:
        steps = tree.difference(git, layer.base, layer.patched)
        for path, file in layer.files.items():
            pre, post = steps[path].pre, steps[path].post
            made = PatchLock.of(layer.layer, file.diff, pre=pre, post=post)
            locks.setdefault(layer.layer, {})[path] = made
            patches.append(Patch(layer=layer.layer, target=ground.target, file=Path(), content=file,
                                 pre=pre, post=post))  # fmt: skip
    required = next((layer.patched for layer in layers if layer.layer == DEFAULT_LAYER.name), ground.base)
    plain = TargetLock(
        commit=ground.commit,
        trees={ground.kind: TreePair(base=ground.base, patched=required)},
        patches=locks.pop(DEFAULT_LAYER.name, {}),
        optional=locks,
    )
    if not locks:
        return plain
    composer = Composer(git, patches, ground.base, fix="regenerate the layers on the new tag")
    return TargetLock(
        commit=plain.commit, trees=plain.trees, patches=plain.patches, optional=plain.optional,
        combined=combine(composer, plain, rules),
    )  # fmt: skip


def _orphans(layers: Sequence[Layered]) -> tuple[str, ...]:
    return tuple(
        f"{path}: {note.hunk} {note.why}"
        for layer in layers
        for path, file in layer.files.items()
        for note in file.header.orphans
    )


def _findings(layers: Sequence[Layered]) -> tuple[str, ...]:
    return tuple(
        f"{path}: {finding}"
        for layer in layers
        for path, file in layer.files.items()
        for finding in file.findings()
    )
