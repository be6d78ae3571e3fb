"""A patch set: the manifest, the patch files and the lock of one tag, read and checked against each other."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from winvllm_build import data
from winvllm_build.errors import PatchError, UsageError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset import advice, convert, lock, manifest, record
from winvllm_build.patchset.convert import BlobReader
from winvllm_build.patchset.diff import Change
from winvllm_build.patchset.folders import patch_files
from winvllm_build.patchset.layers import Selection, entries, unproven
from winvllm_build.patchset.lock import Lock, TargetLock
from winvllm_build.patchset.manifest import Layer, Manifest
from winvllm_build.patchset.patchfile import SUFFIX, PatchFile
from winvllm_build.patchset.paths import collisions
from winvllm_build.patchset.tree import Entry
from winvllm_build.sources.pins import DependencyPin, SourcePin, read_pins
from winvllm_build.suggest import did_you_mean

MAIN_TARGET: Final = advice.MAIN_TARGET


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One patch of the set; `pre` and `post` are the file's ids before and after (`NO_OBJECT` for none)."""

    layer: str
    target: str
    file: Path
    content: PatchFile
    pre: Oid
    post: Oid

    @property
    def path(self) -> RepoPath:
        return self.content.diff.path

    @property
    def change(self) -> Change:
        return self.content.diff.change

    @property
    def modes(self) -> tuple[str, str]:
        return self.content.diff.modes


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSet:
    """What is to be done to the sources of one tag.

    `notices` say what had to be converted while reading; `findings` what a person still has to write.
    """

    tag: str
    pin: SourcePin
    layers: tuple[Layer, ...]
    patches: tuple[Patch, ...]
    lock: Lock
    root: Path
    manifest: Manifest
    notices: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.root / self.tag

    def of(self, target: str) -> tuple[Patch, ...]:
        """The patches of one source tree in every layer, by path and then in the order of the layers.

        Raises:
            UsageError: the set has none for it.
        """
        found = tuple(patch for patch in self.patches if patch.target == target)
        if not found:
            known = sorted({patch.target for patch in self.patches})
            raise UsageError(
                f"the patch set {self.tag} has no patches for {target!r}{did_you_mean(target, known)}",
                fix=f"it has patches for: {', '.join(known) or 'nothing'}",
            )
        return found

    def target(self, name: str) -> TargetLock:
        """The lock's word on one source tree.

        Raises:
            UsageError: the set has no patches for it.
        """
        if name not in self.lock.targets:
            self.of(name)
        return self.lock.targets[name]

    def selected(self, selection: Selection, target: str = MAIN_TARGET) -> Mapping[RepoPath, Entry]:
        """What the layers of `selection` make of each file they change: upstream's and final ids and modes.

        Raises:
            UsageError: the set has no patches for the target.
        """
        return entries(self.target(target), selection)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A patch set as the files say it, not yet compared with the lock."""

    folder: Path
    tag: str
    pin: SourcePin
    dependencies: tuple[DependencyPin, ...]
    manifest: Manifest
    lock: Lock | None
    patches: tuple[Patch, ...]
    notices: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.folder.parent

    @property
    def manifest_file(self) -> Path:
        return self.folder / manifest.FILE

    @property
    def targets(self) -> tuple[str, ...]:
        """The source trees that may have patches."""
        return (MAIN_TARGET, *(pin.name for pin in self.dependencies))

    def commit_of(self, target: str) -> Oid | None:
        """The commit the manifest pins a source tree to; None where it names a revision or an archive."""
        pins = {pin.name: pin.commit for pin in self.dependencies}
        return self.pin.commit if target == MAIN_TARGET else pins[target]

    def locked(self, target: str) -> TargetLock | None:
        """The lock's word on a source tree, if it is about the commit that the manifest pins."""
        found = self.lock.targets.get(target) if self.lock else None
        return found if found is not None and self._is_for(target, found) else None

    def _is_for(self, target: str, locked: TargetLock) -> bool:
        """Whether a lock's commit is the pinned one, or the tool's own of the pinned archive."""
        if target != MAIN_TARGET:
            return target in self.targets and locked.commit == self.commit_of(target)
        sdist, bases = self.pin.sdist, [pair.base for pair in locked.trees.values()]
        archives = [sdist.commit_id(base) for base in bases] if sdist else []
        return locked.commit in archives or self.pin.means(locked.commit)

    def disagreements(self) -> Iterator[tuple[Path, str]]:
        """Every difference between patch files and lock, with the file it is in; nothing if they agree."""
        targets = self.lock.targets if self.lock else {}
        for target in sorted({*targets, *(patch.target for patch in self.patches)}):
            locked = targets.get(target)
            if locked is not None and self.locked(target) is None:
                pinned = self.commit_of(target) if target in self.targets else None
                words = f"{target}: the lock is for commit {locked.commit}, the manifest for {pinned}"
                yield self.folder / lock.FILE, words
            yield from self.differing(target, locked)
            if locked is not None:
                for path, words in unproven(locked, self.manifest):
                    yield self.folder / lock.FILE, f"{path}: {words}"

    def differing(
        self, target: str, locked: TargetLock | None, *, leave_out: str | None = None
    ) -> Iterator[tuple[Path, str]]:
        """Every patch file of a source tree that is not as locked, the layer `leave_out` aside."""
        mine = [patch for patch in self.patches if patch.target == target]
        for layer in dict.fromkeys([*(patch.layer for patch in mine), *(locked.layers if locked else ())]):
            if layer == leave_out:
                continue
            here = {patch.path: (layer, patch.content.diff) for patch in mine if patch.layer == layer}
            for path, words in lock.disagreements(locked.of(layer) if locked else {}, here):
                yield place_of(self.folder, layer, target, path).file, f"{path}: {words}"


def tags(root: Path) -> tuple[str, ...]:
    """Every tag with a manifest under `root`, oldest first."""
    return in_order(entry.parent.name for entry in root.glob(f"*/{manifest.FILE}"))


def newest(root: Path) -> str | None:
    """The newest tag whose set can be used: locked, and no port to it under way; else the newest of all."""
    known = tags(root)
    return next((tag for tag in reversed(known) if _is_whole(root / tag)), known[-1] if known else None)


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Tags as releases follow each other: v0.9.0, v0.14.1rc1, v0.14.1; what is no version comes first."""
    return tuple(sorted(names, key=_version))


def manifest_of(root: Path, tag: str) -> Path:
    """The manifest of a tag, which may have no patches yet.

    Raises:
        PatchError: there is none; the known tags are named.
    """
    file = root / tag / manifest.FILE
    if os.sep in tag or "/" in tag or not file.is_file():
        known = tags(root)
        raise PatchError(
            f"there is no patch set for {tag} in {root}{did_you_mean(tag, known)}",
            fix=f"available: {', '.join(known) or 'none'}",
        )
    return file


def load(root: Path, tag: str, *, allow_open: bool = False) -> PatchSet:
    """Read the patch set of `tag` and prove that manifest, patch files and lock agree.

    Args:
        root: the folder of all patch sets.
        tag: its name.
        allow_open: take a set that a port has not finished, without the patches that are open.

    Raises:
        PatchError: no such tag, a malformed or unsafe patch, or a lock that does not fit.
        ConflictError: patches of it wait for a human's decision.
    """
    draft = read(root, tag)
    if not allow_open:
        record.refuse_open(root, tag)
    differing = list(draft.disagreements())
    file = draft.folder / lock.FILE
    if draft.lock is None:
        raise PatchError(f"{file} does not exist", fix=advice.restore([file], root=root, tag=tag))
    if differing:
        listed = "\n".join(f"  {words}" for _, words in differing)
        files = list(dict.fromkeys([file, *(damaged for damaged, _ in differing)]))
        raise PatchError(
            f"{file} does not fit the patch files:\n{listed}", fix=advice.restore(files, root=root, tag=tag)
        )
    return PatchSet(
        tag=tag, pin=draft.pin, layers=draft.manifest.layers, patches=draft.patches, lock=draft.lock,
        root=root, manifest=draft.manifest, notices=draft.notices, findings=tuple(_findings(draft)),
    )  # fmt: skip


def read(root: Path, tag: str, *, blobs: BlobReader | None = None, lenient: bool = False) -> Draft:
    """Read manifest, patch files and lock without comparing them.

    Args:
        root: the folder of all patch sets.
        tag: its name.
        blobs: reads the patched files, to decide about CRLF where no lock knows.
        lenient: a damaged lock counts as none (it is about to be written anew).

    Raises:
        PatchError: no such tag, a malformed manifest or lock, a malformed or unsafe patch.
    """
    file = manifest_of(root, tag)
    folder = file.parent
    rules = manifest.read(file)
    pins = read_pins(file)
    pin = pins.upstream
    if pin.tag != tag:
        raise PatchError(f"{file} is for {pin.tag}, not for {tag}", fix=f"correct {file}")
    try:
        locked = lock.read(folder / lock.FILE)
    except PatchError:
        if not lenient:
            raise
        locked = None
    targets = [MAIN_TARGET, *(pin.name for pin in pins.dependencies)]
    found = [_patch(folder, place, locked, blobs) for place in _files(folder, rules, targets)]
    order = [layer.name for layer in rules.layers]
    patches = tuple(
        sorted((patch for patch, _ in found), key=lambda p: (p.target, p.path, order.index(p.layer)))
    )
    refuse_collisions(patches)
    return Draft(
        folder=folder, tag=tag, pin=pin, dependencies=pins.dependencies, manifest=rules, lock=locked,
        patches=patches,
        notices=tuple(notice for _, notices in found for notice in notices),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a patch lies, and what it is of by that."""

    layer: str
    target: str
    path: RepoPath
    file: Path


def place_of(folder: Path, layer: str, target: str, path: RepoPath) -> Place:
    return Place(layer=layer, target=target, path=path, file=folder / layer / target / f"{path}{SUFFIX}")


def _files(folder: Path, rules: Manifest, targets: list[str]) -> Iterator[Place]:
    for layer, target, path, file in patch_files(folder, [layer.name for layer in rules.layers], targets):
        yield Place(layer=layer, target=target, path=path, file=file)


def _patch(
    folder: Path, place: Place, locked: Lock | None, blobs: BlobReader | None
) -> tuple[Patch, tuple[str, ...]]:
    file = place.file
    known = locked.targets.get(place.target) if locked else None
    entry = known.of(place.layer).get(place.path) if known else None
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise PatchError(f"cannot read {file}: {error.strerror}", fix=f"make {file} readable") from error
    sha256 = entry.sha256 if entry else None
    try:
        made = convert.read(raw, path=place.path, where=str(file), sha256=sha256, blobs=blobs)
    except PatchError as error:
        raise PatchError(error.message, fix=error.fix or _regained(folder, file)) from error
    diff = made.patch.diff
    blank = entry.pre if entry else NO_OBJECT
    patch = Patch(
        layer=place.layer, target=place.target, file=file, content=made.patch,
        pre=blank if diff.pre is None else diff.pre, post=blank if diff.post is None else diff.post,
    )  # fmt: skip
    return patch, made.notices


def _regained(folder: Path, file: Path) -> str:
    """For a patch file that cannot be read: it cannot be kept as it is."""
    root = folder.parent
    if data.is_installed(root):
        return advice.restore([file], root=root, tag=folder.name)
    name = advice.quoted(file.relative_to(root).as_posix())
    return (
        f"get the file again: git -C {advice.quoted(str(root))} checkout -- {name}; "
        f"or delete it and write it from a patched tree: {advice.command('regen', folder.name, root=root)}"
    )


def refuse_collisions(patches: Sequence[Patch]) -> None:
    """Refuse paths that differ in case only.

    Raises:
        PatchError: there are two.
    """
    for target in {patch.target for patch in patches}:
        for one, other in collisions([patch.path for patch in patches if patch.target == target]):
            raise PatchError(f"{one} and {other} are one file where case does not count")


def _findings(draft: Draft) -> Iterator[str]:
    topics: Mapping[str, object] = {topic.name: topic for topic in draft.manifest.topics}
    for patch in draft.patches:
        for finding in patch.content.findings():
            yield f"{patch.file}: {finding}"
        for name in (patch.content.header.get("Topic") or "").replace(",", " ").split():
            if name not in topics:
                yield f"{patch.file}: unknown topic {name}{did_you_mean(name, topics)}"


def _is_whole(folder: Path) -> bool:
    if not (folder / lock.FILE).is_file():
        return False
    try:
        ported = record.read(folder / record.FILE)
    except PatchError:
        return False
    return ported is None or not ported.open


def _version(tag: str) -> tuple[bool, Version, str]:
    try:
        return True, Version(tag), tag
    except InvalidVersion:
        return False, Version("0"), tag
