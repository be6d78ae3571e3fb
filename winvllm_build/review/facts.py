"""One patch set as far as its files can be read: what cannot is a finding, not the end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winvllm_build.errors import PatchError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import lock, manifest
from winvllm_build.patchset.lock import PatchLock, TargetLock
from winvllm_build.patchset.manifest import Manifest
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft, Place, manifest_of
from winvllm_build.review import places
from winvllm_build.review.places import Known
from winvllm_build.review.reading import Reading, read
from winvllm_build.review.rules import Finding, Rule, found
from winvllm_build.sources.pins import Pins, read_pins

Key = tuple[str, str, RepoPath]
"""Target, layer and path: what names one patch of a set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One set as far as it can be read.

    Attributes:
        folder: the tag's.
        rules: the manifest; None where it is malformed.
        pins: its pins; None likewise.
        locked: the lock; None where it is missing or damaged.
        readings: the patch files.
    """

    folder: Path
    rules: Manifest | None
    pins: Pins | None
    locked: lock.Lock | None
    readings: Sequence[Reading]

    @property
    def lock_file(self) -> Path:
        return self.folder / lock.FILE

    @property
    def draft(self) -> Draft | None:
        """Manifest and lock as other rooms know them; None where the manifest is malformed."""
        if self.rules is None or self.pins is None:
            return None
        return Draft(
            folder=self.folder, tag=self.folder.name, pin=self.pins.upstream,
            dependencies=self.pins.dependencies, manifest=self.rules, lock=self.locked, patches=(),
            notices=(),
        )  # fmt: skip

    @property
    def by_key(self) -> Mapping[Key, Reading]:
        return {key_of(reading.place): reading for reading in self.readings}


def key_of(place: Place) -> Key:
    return place.target, place.layer, place.path


def read_lock(file: Path) -> tuple[lock.Lock | None, list[Finding]]:
    """The lock, and what is wrong with the file itself."""
    try:
        found_lock = lock.read(file)
        twice = _twice(file) if found_lock is not None else []
    except (PatchError, OSError, RecursionError) as error:
        message = error.message if isinstance(error, PatchError) else f"{file} cannot be read: {error}"
        return None, [found(Rule.LOCK, file, message)]
    return found_lock, [found(Rule.LOCK, file, f"{name!r} is in it twice") for name in twice]


def locks_of(target: TargetLock) -> Iterator[tuple[str, RepoPath, PatchLock]]:
    """Layer, path and entry of each locked patch."""
    for layer in target.layers:
        for path, entry in target.of(layer).items():
            yield layer, path, entry


def gather(root: Path, tag: str) -> tuple[Facts, list[Finding]]:
    """The facts of one set, and what is wrong with the form of its files.

    Raises:
        PatchError: there is no patch set of that tag.
    """
    folder = manifest_of(root, tag).parent
    rules, pins, unreadable = _manifest(folder)
    locked, damaged = read_lock(folder / lock.FILE)
    layers = None if rules is None else tuple(layer.name for layer in rules.layers)
    targets = None if pins is None else (MAIN_TARGET, *(pin.name for pin in pins.dependencies))
    there = places.search(folder, Known(layers=layers, targets=targets))
    readings = [read(place, _sha256(locked, place)) for place in there.places]
    facts = Facts(folder=folder, rules=rules, pins=pins, locked=locked, readings=readings)
    findings = [*unreadable, *damaged, *there.findings]
    return facts, findings + [finding for reading in readings for finding in reading.findings]


def _manifest(folder: Path) -> tuple[manifest.Manifest | None, Pins | None, list[Finding]]:
    """Both readings of `patchset.toml`; each fault once."""
    file = folder / manifest.FILE
    rules: manifest.Manifest | None = None
    pins: Pins | None = None
    messages: list[str] = []
    try:
        rules = manifest.read(file)
    except (PatchError, OSError, RecursionError) as error:
        messages += str(getattr(error, "message", error)).splitlines()
    try:
        pins = read_pins(file)
    except (PatchError, OSError, RecursionError) as error:
        messages += str(getattr(error, "message", error)).splitlines()
    if pins is not None and pins.upstream.tag != folder.name:
        messages.append(f"it is for {pins.upstream.tag}, not for {folder.name}")
    plain = [message.removeprefix(f"{file}: ").removeprefix(f"{file} ") for message in messages]
    return rules, pins, [found(Rule.MANIFEST, file, message) for message in dict.fromkeys(plain)]


def _sha256(locked: lock.Lock | None, place: Place) -> str | None:
    target = locked.targets.get(place.target) if locked else None
    entry = target.of(place.layer).get(place.path) if target else None
    return entry.sha256 if entry else None


def _twice(file: Path) -> list[str]:
    """Names given twice in one object, of which JSON takes the last without a word."""
    again: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        again.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(items)

    json.loads(file.read_bytes(), object_pairs_hook=pairs)
    return again
