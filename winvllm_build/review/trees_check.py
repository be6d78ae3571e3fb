"""The trees of the lock: held against the source, the patch files and the lock's own ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winvllm_build.patchset.lock import TargetLock, TreePair
from winvllm_build.review.diagnosis import Check, Part, State
from winvllm_build.review.facts import Facts
from winvllm_build.review.fixes import Spot
from winvllm_build.review.origins import TREE
from winvllm_build.review.proof import Proof

NAME = "trees"


def check(facts: Facts, locked: TargetLock, proofs: Sequence[Proof], *, known_wrong: bool) -> Iterator[Check]:
    """One check for each kind of source in the lock.

    Args:
        facts: the set.
        locked: its lock, for one source tree.
        proofs: what sources say.
        known_wrong: a patch file or an entry of the lock was found wrong already, which changes trees too.
    """
    for kind, pair in locked.trees.items():
        proof = _proof_of(kind, pair, locked, proofs)
        if proof is None:
            words = f"the {kind} tree of the lock was not computed again: that source is not here"
            yield Check(name=NAME, state=State.UNCHECKED, parts=(Part.LOCK,), words=words)
        elif proof.broken:
            words = f"the {kind} tree of the lock was not computed again: its source is damaged"
            yield Check(name=NAME, state=State.UNCHECKED, parts=(Part.LOCK,), words=words)
        elif proof.origin.tree != pair.base:
            words = f"the lock has a wrong base for the {kind} source"
            evidence = (f"{proof.origin.words} is the pinned one; its tree is {proof.origin.tree}", pair.base)
            yield _wrong(facts, words, *evidence)
        else:
            yield from _patched(facts, kind, pair, proof, known_wrong=known_wrong)
    for proof in proofs[:1]:
        if proof.combinations and not known_wrong:
            words = "the lock has wrong ids for a combination of layers"
            yield _wrong(facts, words, *proof.combinations.splitlines())


def _proof_of(kind: str, pair: TreePair, locked: TargetLock, proofs: Sequence[Proof]) -> Proof | None:
    """The source with this very tree, else the pinned one of this kind."""
    same = [proof for proof in proofs if proof.origin.tree == pair.base]
    same.sort(key=lambda proof: bool(proof.broken))
    ours = [
        proof for proof in proofs if proof.origin.pinned == kind and locked.pair_of(proof.origin.tree) is None
    ]
    return next(iter([*same, *ours]), None)


def _patched(facts: Facts, kind: str, pair: TreePair, proof: Proof, *, known_wrong: bool) -> Iterator[Check]:
    made, own = proof.files_tree, proof.lock_tree
    if pair.patched is None:
        words = f"the lock has no patched tree for the {kind} source"
        yield Check(name=NAME, state=State.NOTE, parts=(Part.LOCK,), words=words)
    elif pair.patched == made == own:
        words = f"the {kind} tree of the lock was computed again, from the patch files and from its own ids"
        where = "a tree" if proof.origin.kind == TREE else proof.origin.words
        yield Check(
            name=NAME, state=State.AGREES, parts=(Part.PATCHES, Part.LOCK, Part.TAG), words=words,
            evidence=(f"{pair.base} -> {pair.patched}, on {where}",),
        )  # fmt: skip
    elif known_wrong:
        return  # explained already
    elif made == own:
        words = f"the lock has a wrong patched tree for the {kind} source"
        yield _wrong(facts, words, f"its own ids and the patch files give {made}", f"it says {pair.patched}")
    else:
        words = f"the lock's {kind} tree is neither what the patch files nor what its own ids give"
        spot = Spot(folder=facts.folder, file=facts.lock_file)
        yield Check(
            name=NAME, state=State.UNDECIDED, parts=(Part.PATCHES, Part.LOCK), words=words,
            evidence=(f"lock {pair.patched}", f"patch files {made}", f"its ids {own}"), fix=spot.restore(),
        )  # fmt: skip


def _wrong(facts: Facts, words: str, *evidence: str) -> Check:
    spot = Spot(folder=facts.folder, file=facts.lock_file)
    return Check(
        name=NAME, state=State.WRONG, parts=(Part.LOCK,), words=words,
        evidence=(str(facts.lock_file), *evidence), fix=spot.restore(),
    )  # fmt: skip
