"""What manifest, lock and patch files of one set say about each other."""

from __future__ import annotations

from collections.abc import Iterator

from winvllm_build.errors import PatchError
from winvllm_build.patchset.layers import unproven
from winvllm_build.patchset.lock import PatchLock, TargetLock
from winvllm_build.patchset.manifest import FILE, Manifest
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft, place_of
from winvllm_build.review.facts import Facts, locks_of
from winvllm_build.review.reading import Reading
from winvllm_build.review.rules import Finding, Rule, found


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
    draft = facts.draft
    if draft is None:
        return
    for name, target in facts.locked.targets.items():
        if name not in draft.targets:
            words = f"it has patches of {name}, which is no source tree of the manifest"
            yield found(Rule.TARGET, facts.lock_file, words)
        elif draft.locked(name) is None:
            words = f"{name} is locked for the commit {target.commit}, the manifest pins {_pin(draft, name)}"
            yield found(Rule.LOCK, facts.lock_file, words)
        for layer in sorted({*target.layers} - {known.name for known in draft.manifest.layers}):
            words = f"it has patches of the layer {layer}, which is not declared"
            yield found(Rule.LAYER, facts.lock_file, words)
        yield from _unproven(facts, draft.manifest, target)


def _unproven(facts: Facts, rules: Manifest, target: TargetLock) -> Iterator[Finding]:
    """Combinations of layers that the lock does not know."""
    try:
        for path, words in unproven(target, rules):
            yield found(Rule.LOCK, facts.lock_file, f"{path}: {words}")
    except PatchError as error:
        yield found(Rule.MANIFEST, facts.folder / FILE, error.message)


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


def _pin(draft: Draft, name: str) -> str:
    commit = draft.commit_of(name)
    sdist = draft.pin.sdist if name == MAIN_TARGET else None
    return commit or (f"the archive {sdist.project} {sdist.version}" if sdist else "none")
