"""What manifest, lock and patch files of one set say about each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winvllm_build.errors import PatchError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import lock
from winvllm_build.patchset.layers import unproven
from winvllm_build.patchset.lock import PatchLock, TargetLock
from winvllm_build.patchset.manifest import Manifest
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft, Place, place_of
from winvllm_build.review.reading import Reading
from winvllm_build.review.rules import Finding, Rule, found
from winvllm_build.sources.pins import Pins

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


def check(facts: Facts) -> Iterator[Finding]:
    """Every rule about manifest, lock and files together."""
    yield from _pinned(facts)
    yield from _locked(facts)


def _pinned(facts: Facts) -> Iterator[Finding]:
    """The lock is about what the manifest pins."""
    if facts.locked is None:
        if facts.readings and not facts.lock_file.exists():
            yield found(Rule.LOCK, facts.lock_file, "it does not exist")
        return
    if facts.rules is None or facts.pins is None:
        return
    draft = _draft(facts, facts.rules, facts.pins)
    for name, target in facts.locked.targets.items():
        if name not in draft.targets:
            words = f"it has patches of {name}, which is no source tree of the manifest"
            yield found(Rule.TARGET, facts.lock_file, words)
        elif draft.locked(name) is None:
            words = f"{name} is locked for the commit {target.commit}, the manifest pins {_pin(draft, name)}"
            yield found(Rule.LOCK, facts.lock_file, words)
        for layer in sorted({*target.layers} - {known.name for known in facts.rules.layers}):
            words = f"it has patches of the layer {layer}, which is not declared"
            yield found(Rule.LAYER, facts.lock_file, words)
        for path, words in unproven(target, facts.rules):
            yield found(Rule.LOCK, facts.lock_file, f"{path}: {words}")


def _locked(facts: Facts) -> Iterator[Finding]:
    """Each patch file is in the lock, unchanged, and the other way round."""
    if facts.locked is None:
        return
    here = facts.by_key
    locks = {
        (name, layer, path): entry
        for name, target in facts.locked.targets.items()
        for layer, path, entry in locks_of(target)
    }
    for key in sorted({*here, *locks}):
        target, layer, path = key
        if key not in here:
            file = place_of(facts.folder, layer, target, path).file
            yield found(Rule.LOST, file, "it is in the lock, but there is no such file")
        elif key not in locks:
            yield found(Rule.UNLOCKED, here[key].place.file, "the lock does not have it")
        elif differing := different(here[key], locks[key]):
            words = f"it is not what was locked ({', '.join(differing)})"
            yield found(Rule.CHANGED, here[key].place.file, words)


def different(reading: Reading, locked: PatchLock) -> tuple[str, ...]:
    """Which facts of the lock a patch file contradicts; none where its diff is malformed."""
    diff = reading.diff
    if diff is None:
        return ()
    made = PatchLock.of(reading.place.layer, diff, pre=diff.pre or locked.pre, post=diff.post or locked.post)
    names = (name for name in made.__slots__ if getattr(made, name) != getattr(locked, name))
    return tuple(sorted(names))


def dropped(facts: Facts) -> Iterator[Finding]:
    """Patches that the manifest says were dropped."""
    for entry in facts.rules.dropped if facts.rules else ():
        reading = facts.by_key.get((entry.target, entry.layer, entry.path))
        if reading is not None:
            words = f"[[dropped]] of the manifest says it is gone: {entry.reason.splitlines()[0][:60]}"
            yield found(Rule.DROPPED_BACK, reading.place.file, words)


def _draft(facts: Facts, rules: Manifest, pins: Pins) -> Draft:
    return Draft(
        folder=facts.folder, tag=facts.folder.name, pin=pins.upstream, dependencies=pins.dependencies,
        manifest=rules, lock=facts.locked, patches=(), notices=(),
    )  # fmt: skip


def _pin(draft: Draft, name: str) -> str:
    commit = draft.commit_of(name)
    sdist = draft.pin.sdist if name == MAIN_TARGET else None
    return commit or (f"the archive {sdist.project} {sdist.version}" if sdist else "none")


def _twice(file: Path) -> list[str]:
    """Names given twice in one object, of which JSON takes the last without a word."""
    again: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        again.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(items)

    json.loads(file.read_bytes(), object_pairs_hook=pairs)
    return again
