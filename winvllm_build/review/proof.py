"""What a source says about patch files and lock: each blob, and the whole tree by two ways."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from winvllm_build.errors import WinvllmError
from winvllm_build.git import NO_OBJECT, Git, GitError, Oid
from winvllm_build.patchset import blob, tree
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.layers import Composer, select, verify
from winvllm_build.patchset.manifest import DEFAULT_LAYER, Manifest
from winvllm_build.patchset.patchfile import PatchFile
from winvllm_build.patchset.patchset import Patch
from winvllm_build.review.facts import Facts, Key, key_of
from winvllm_build.review.origins import Origin
from winvllm_build.review.reading import Reading


class Outcome(enum.Enum):
    """What one diff does to the source's file."""

    PROVEN = "turns exactly the source's blob into the blob of its index line"
    WRONG = "does not give the blob of its index line"
    OTHER = "is for another blob than the source has"
    BROKEN = "cannot be proven: the source's blob cannot be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One source tree held against one target of the set.

    Attributes:
        origin: the source.
        outcomes: of each well-formed patch, where the tree that it is made for could be made.
        broken: blobs of the source that are missing or have other content than their id says.
        files_tree: what the patch files of the required layer make of it; None where they do not.
        lock_tree: what the lock's entries of that layer make of it.
        exported: the diffs that git writes for those patches that are proven; None where it cannot.
        combinations: what is wrong with the lock's combinations of layers; empty where nothing is.
    """

    origin: Origin
    outcomes: Mapping[Key, Outcome] = field(default_factory=dict)
    broken: Mapping[Oid, str] = field(default_factory=dict)
    files_tree: Oid | None = None
    lock_tree: Oid | None = None
    exported: Mapping[Key, Diff] | None = None
    combinations: str = ""


def prove(git: Git, facts: Facts, rules: Manifest, origin: Origin, target: str) -> Proof:
    """Hold the patch files and the lock of `target` against a source.

    Args:
        git: a scratch repository on the source's objects.
        facts: the set.
        rules: its manifest.
        origin: the source.
        target: which source tree of the set.

    Raises:
        GitError: the source's tree itself cannot be read.
    """
    return _Prover(git, facts, rules, origin, target).proof()


class _Prover:
    """The trees of one proof, each made once."""

    def __init__(self, git: Git, facts: Facts, rules: Manifest, origin: Origin, target: str) -> None:
        self._git = git
        self._rules = rules
        self._origin = origin
        self._target = target
        self._locked = facts.locked.targets.get(target) if facts.locked else None
        self._readings = [reading for reading in facts.readings if reading.place.target == target]
        self._patches = list(_patches(self._readings))
        self._composer = Composer(git, self._patches, origin.tree, fix="see `doctor patches`")
        self._broken: dict[Oid, str] = {}

    def proof(self) -> Proof:
        outcomes: dict[Key, Outcome] = {}
        exported: dict[Key, Diff] | None = {}
        for layer in (known.name for known in self._rules.layers):
            base = self._base_of(layer)
            if base is not None:
                made = self._outcomes(layer, base)
                outcomes |= made
                written = self._exported(layer, base, made)
                exported = None if exported is None or written is None else exported | written
        whole = not any(reading.diff is None for reading in self._readings)
        return Proof(
            origin=self._origin, outcomes=outcomes, broken=self._broken, exported=exported,
            files_tree=self._files_tree(), lock_tree=self._lock_tree(),
            combinations=self._combinations() if whole else "",
        )  # fmt: skip

    def _base_of(self, layer: str) -> Oid | None:
        """The tree that the patches of `layer` are made for; None where those below do not fit."""
        if layer == DEFAULT_LAYER.name:
            return self._origin.tree
        if layer not in self._composer.patches or not self._complete(below=layer):
            return None
        try:
            return self._composer.below(select(self._rules, [layer]), layer)
        except WinvllmError:
            return None

    def _complete(self, *, below: str) -> bool:
        needed = set(select(self._rules, [below]).layers) - {below}
        return not any(r.diff is None for r in self._readings if r.place.layer in needed)

    def _outcomes(self, layer: str, base: Oid) -> dict[Key, Outcome]:
        patches = self._composer.patches.get(layer, [])
        there = self._git.entries(base, tuple(patch.path for patch in patches)) if patches else {}
        blobs = self._contents([there[patch.path].oid for patch in patches if patch.path in there])
        made = {}
        for patch in patches:
            oid = there[patch.path].oid if patch.path in there else NO_OBJECT
            diff = patch.content.diff
            key = (self._target, layer, patch.path)
            if diff.pre not in (None, oid):
                made[key] = Outcome.OTHER
            elif oid in self._broken:
                made[key] = Outcome.BROKEN
            elif diff.hunks:
                right = blob.proven(diff, blobs.get(oid))
                made[key] = Outcome.PROVEN if right else Outcome.WRONG
            else:
                made[key] = Outcome.PROVEN if self._applies(base, diff) else Outcome.WRONG
        return made

    def _contents(self, oids: Sequence[Oid]) -> dict[Oid, bytes]:
        """Blobs by id; those that are missing or damaged are noted."""
        try:
            found = tree.contents(self._git, oids)
        except GitError:  # one damaged object ends the whole batch
            found = {}
            for oid in oids:
                done = self._git.run("cat-file", "blob", oid, ok=(0, 1, 128))
                if done.code == 0:
                    found[oid] = done.out
        for oid in oids:
            if oid not in found:
                self._broken[oid] = "missing or damaged"
            elif blob.blob_id(found[oid]) != oid:
                self._broken[oid] = f"its content has the id {blob.blob_id(found[oid])}"
        return found

    def _applies(self, base: Oid, diff: Diff) -> bool:
        """Whether git itself makes of a binary diff or a change of mode what it promises."""
        try:
            made = tree.compute(self._git, base, [diff], fix="")
        except WinvllmError:
            return False
        entry = tree.difference(self._git, base, made).get(diff.path)
        return entry is not None and entry == tree.entry_of(diff, entry.pre, entry.post)

    def _exported(self, layer: str, base: Oid, outcomes: Mapping[Key, Outcome]) -> dict[Key, Diff] | None:
        """The proven patches of a layer as git writes them."""
        diffs = [
            patch.content.diff
            for patch in self._composer.patches.get(layer, [])
            if outcomes[self._target, layer, patch.path] is Outcome.PROVEN
        ]
        try:
            made = tree.compute(self._git, base, diffs, fix="")
            written = tree.export(self._git, base, made)
        except WinvllmError:
            return None
        return {(self._target, layer, path): diff for path, diff in written.items()}

    def _files_tree(self) -> Oid | None:
        required = [reading for reading in self._readings if reading.place.layer == DEFAULT_LAYER.name]
        if any(reading.diff is None for reading in required):
            return None
        try:
            return self._composer.tree(select(self._rules))
        except WinvllmError:
            return None

    def _lock_tree(self) -> Oid | None:
        """The tree of the lock's own ids: no patch file is needed for it, nor the blobs."""
        if self._locked is None:
            return None
        records = b"".join(
            f"{entry.modes[1] if entry.post != NO_OBJECT else '0'} {entry.post}\t{path}\0".encode(
                "utf-8", "surrogateescape"
            )
            for path, entry in self._locked.patches.items()
        )
        with self._git.temporary_index(self._origin.tree) as index:
            self._git.out(
                "update-index", "-z", "--add", "--replace", "--index-info", stdin=records, index=index
            )
            return Oid(self._git.line("write-tree", "--missing-ok", index=index))

    def _combinations(self) -> str:
        if self._locked is None or not self._locked.optional:
            return ""
        try:
            verify(self._composer, self._locked, self._rules, fix="")
        except WinvllmError as error:
            return error.message
        return ""


def _patches(readings: Sequence[Reading]) -> Iterator[Patch]:
    """The well-formed ones as the other rooms know them."""
    for reading in readings:
        if reading.diff is not None:
            yield Patch(
                layer=reading.place.layer, target=reading.place.target, file=reading.place.file,
                content=PatchFile(header=reading.header, diff=reading.diff),
                pre=reading.diff.pre or NO_OBJECT, post=reading.diff.post or NO_OBJECT,
            )  # fmt: skip


def keys_of(facts: Facts, target: str) -> Mapping[Key, Reading]:
    """The patch files of one source tree."""
    return {key_of(r.place): r for r in facts.readings if r.place.target == target}
