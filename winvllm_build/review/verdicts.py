"""Which of a patch file and its entry in the lock is wrong, where they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.patchset.lock import PatchLock
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.patchset import MAIN_TARGET, place_of
from winvllm_build.review import committed
from winvllm_build.review.diagnosis import Check, Part, State
from winvllm_build.review.facts import Facts, Key, locks_of
from winvllm_build.review.fixes import Spot
from winvllm_build.review.proof import Outcome, Proof, keys_of
from winvllm_build.review.reading import Reading
from winvllm_build.review.set_rules import different

NAME = "patch and lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What the proven sources say about all patch files and all of the lock together.

    None where nothing can be said; the lock is right where its own ids give its own tree.
    """

    files_right: bool | None
    lock_right: bool | None

    @classmethod
    def of(cls, facts: Facts, target: str, proofs: Sequence[Proof]) -> Whole:
        locked = facts.locked.targets.get(target) if facts.locked else None
        pairs = [(proof, locked.pair_of(proof.origin.tree)) for proof in proofs] if locked else []
        said = [(proof, pair.patched) for proof, pair in pairs if pair and pair.patched]
        if not said:
            return cls(files_right=None, lock_right=None)
        return cls(
            files_right=any(proof.files_tree == patched for proof, patched in said),
            lock_right=any(proof.lock_tree == patched for proof, patched in said),
        )


def judge(facts: Facts, target: str, proofs: Sequence[Proof]) -> Iterator[Check]:
    """One check for each patch that something is wrong with, and one for all the others."""
    whole = Whole.of(facts, target, proofs)
    here = keys_of(facts, target)
    locked = facts.locked.targets.get(target) if facts.locked else None
    locks = {(target, layer, path): entry for layer, path, entry in locks_of(locked)} if locked else {}
    wrong = 0
    for key in sorted({*here, *locks}):
        case = _Case(facts, whole, key, reading=here.get(key), locked=locks.get(key), proofs=proofs)
        check = case.verdict()
        if check is not None:
            wrong += 1
            yield check
    right = len({*here, *locks}) - wrong
    if right and facts.locked is not None:
        what = "" if target == MAIN_TARGET else f" of {target}"
        yield Check(
            name=NAME, state=State.AGREES, parts=(Part.PATCHES, Part.LOCK),
            words=f"{right} patch files{what} are those of the lock",
        )  # fmt: skip


class _Case:
    """One patch: its file, its entry in the lock, and what sources say about it."""

    def __init__(
        self, facts: Facts, whole: Whole, key: Key, *, reading: Reading | None, locked: PatchLock | None,
        proofs: Sequence[Proof],
    ) -> None:  # fmt: skip
        self._target, self._layer, self._path = key
        self._facts = facts
        self._whole = whole
        self._reading = reading
        self._locked = locked
        self._file = place_of(facts.folder, self._layer, self._target, self._path).file
        self._name = (
            self._path if self._layer == DEFAULT_LAYER.name else f"{self._path} of the layer {self._layer}"
        )
        found = [proof for proof in proofs if key in proof.outcomes]
        found.sort(key=lambda proof: proof.outcomes[key] is Outcome.BROKEN)
        self._outcome = found[0].outcomes[key] if found else None
        self._source = found[0].origin if found else None
        written = found[0].exported if found else None
        self._written = None if written is None else written.get(key)

    def verdict(self) -> Check | None:
        if self._reading is None:
            return self._missing()
        if self._reading.diff is None:
            words = tuple(finding.message for finding in self._reading.findings[:2])
            return self._damaged("is damaged", *words)
        if self._locked is None:
            return self._unlocked() if self._facts.locked is not None else self._alone()
        differing = different(self._reading, self._locked)
        return self._different(differing) if differing else self._alone()

    def _missing(self) -> Check:
        if self._whole.files_right:
            return self._lock_wrong("has an entry too many", "the files without it give the lock's tree")
        return self._damaged("is gone", "the lock has it")

    def _unlocked(self) -> Check:
        if self._whole.files_right:
            return self._lock_wrong("lacks the entry", "the files with it give the lock's tree")
        if self._whole.lock_right or self._outcome in (Outcome.WRONG, Outcome.OTHER):
            return self._damaged(
                "does not belong to the set", "the lock's ids give the lock's tree without it"
            )
        entry = self._committed_entry()
        diff = self._reading.diff if self._reading else None
        if entry is not None and diff is not None and entry.sha256 == diff.sha256:
            return self._lock_wrong("lacks the entry", "the committed lock has it")
        return self._undecided("there is a patch file, but no entry in the lock")

    def _alone(self) -> Check | None:
        """File and lock agree, or there is no lock."""
        if self._outcome is Outcome.WRONG:
            return self._damaged("is damaged", self._said())
        if self._outcome is Outcome.OTHER:
            return self._damaged("is made for another file", self._said())
        return None

    def _different(self, differing: tuple[str, ...]) -> Check:
        facts = ", ".join(differing)
        if "sha256" not in differing:
            words = "the sha256 covers the whole diff, and is right"
            return self._lock_wrong(f"has a wrong {facts}", words)
        if self._outcome in (Outcome.WRONG, Outcome.OTHER):
            return self._damaged("is damaged", f"the lock has another {facts}", self._said())
        if self._outcome is Outcome.PROVEN:
            return self._proven(differing)
        if len(differing) > 1:
            words = f"{len(differing)} facts of the lock contradict it at once: {facts}"
            return self._damaged("is another one than was locked", words)
        return self._one_fact(f"they differ in the {facts}")

    def _proven(self, differing: tuple[str, ...]) -> Check:
        """The file is a right patch, but not the one of the lock."""
        facts = ", ".join(differing)
        if self._whole.files_right and not self._whole.lock_right:
            return self._lock_wrong(
                f"has a wrong {facts}", "the patch files give the lock's tree, its ids do not"
            )
        same = not set(differing) - {"sha256", "change_id"}
        if same and self._written is not None and self._reading is not None and self._locked is not None:
            if self._written.sha256 == self._locked.sha256:
                return self._damaged(
                    "is written otherwise", "git writes the same change with the sha256 of the lock"
                )
            if self._reading.diff is not None and self._written.sha256 == self._reading.diff.sha256:
                return self._lock_wrong(f"has a wrong {facts}", "the file is, to the byte, what git writes")
        if len(differing) > 1 or self._whole.lock_right:
            words = "as a patch it is right, so it was edited or comes from elsewhere"
            return self._damaged("is another one than was locked", f"the lock has another {facts}", words)
        return self._one_fact(f"they differ in the {facts}")

    def _said(self) -> str:
        source = f" ({self._source.words})" if self._source else ""
        return f"it {self._outcome.value}{source}" if self._outcome else ""

    def _damaged(self, what: str, *evidence: str) -> Check:
        spot = Spot(folder=self._facts.folder, file=self._file)
        unreadable = self._reading is None or self._reading.diff is None
        return Check(
            name=NAME, state=State.WRONG, parts=(Part.PATCHES,), words=f"the patch file {self._name} {what}",
            evidence=_told(self._file, evidence), fix=spot.regain() if unreadable else spot.restore(),
        )  # fmt: skip

    def _lock_wrong(self, what: str, *evidence: str) -> Check:
        spot = Spot(folder=self._facts.folder, file=self._facts.lock_file)
        return Check(
            name=NAME, state=State.WRONG, parts=(Part.LOCK,), words=f"the lock {what} for {self._name}",
            evidence=_told(self._facts.lock_file, evidence), fix=spot.restore(),
        )  # fmt: skip

    def _one_fact(self, why: str) -> Check:
        """One fact against one: what was committed decides, where it is known."""
        reading, locked = self._reading, self._locked
        if reading is None or reading.diff is None or locked is None:
            return self._undecided(why)
        if committed.sha256_of(reading.place) == locked.sha256:
            return self._damaged(
                "is another one than was locked", why, "the committed file is the locked one"
            )
        entry = self._committed_entry()
        if entry is not None and entry.sha256 == reading.diff.sha256:
            return self._lock_wrong("has a wrong sha256", "the committed lock has the file's")
        return self._undecided(why)

    def _committed_entry(self) -> PatchLock | None:
        before = committed.target_of(self._facts.lock_file, self._target)
        return before.of(self._layer).get(self._path) if before else None

    def _undecided(self, why: str) -> Check:
        spot = Spot(folder=self._facts.folder, file=self._file)
        return Check(
            name=NAME, state=State.UNDECIDED, parts=(Part.PATCHES, Part.LOCK),
            words=f"the patch file {self._name} and the lock disagree",
            evidence=_told(self._file, (why, "only the source can tell which is right")),
            fix=f"{spot.source()}, then run this again; or {spot.restore()}",
        )  # fmt: skip


def _told(file: Path, evidence: Sequence[str]) -> tuple[str, ...]:
    return (str(file), *(words for words in evidence if words))
