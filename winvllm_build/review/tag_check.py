"""The tag: manifest, lock and the sources at hand have to mean one commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from winvllm_build.errors import UNOBTAINABLE
from winvllm_build.git import Git, Oid
from winvllm_build.patchset import advice, manifest
from winvllm_build.patchset.base import way_back
from winvllm_build.patchset.lock import TargetLock
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft
from winvllm_build.patchset.worktree import Worktree
from winvllm_build.review import committed
from winvllm_build.review.diagnosis import Check, Part, State
from winvllm_build.review.facts import Facts
from winvllm_build.review.fixes import Spot
from winvllm_build.review.origins import GIT, SDIST, TREE, Origin
from winvllm_build.review.proof import Proof
from winvllm_build.sources.remote import Remotes

COMMIT = "commit"
SOURCE = "source"
UPSTREAM = "upstream"
SHORT = 12


def pinned(
    facts: Facts, draft: Draft, target: str, *, origins: Sequence[Origin], upstream: Oid | None
) -> Iterator[Check]:  # fmt: skip
    """Manifest against lock, decided by the sources and by what upstream says.

    Args:
        facts: the set.
        draft: its manifest.
        target: which source tree.
        origins: the sources at hand.
        upstream: what upstream's tag points at, where it was asked.
    """
    locked = facts.locked.targets.get(target) if facts.locked else None
    if locked is None:
        return
    named = draft.commit_of(target)
    if draft.locked(target) is not None:
        words = f"manifest and lock are about the commit {locked.commit[:SHORT]}"
        what = "" if target == MAIN_TARGET else f" of {target}"
        yield Check(name=COMMIT, state=State.AGREES, parts=(Part.LOCK, Part.TAG), words=words + what)
        return
    evidence = (f"manifest {named or 'without a commit'}", f"lock {locked.commit}")
    witnesses = chain(
        _witnesses(locked, named, origins, upstream), _committed(facts, target, locked.commit, named)
    )
    for lock_says, words in witnesses:
        yield (
            _wrong_lock(facts, words, evidence) if not lock_says else _wrong_manifest(facts, words, evidence)
        )
        return
    spot = Spot(folder=facts.folder, file=facts.folder / manifest.FILE)
    again = advice.command("doctor patches", draft.tag, "--online", root=draft.root).replace('"', "")
    yield Check(
        name=COMMIT, state=State.UNDECIDED, parts=(Part.LOCK, Part.TAG),
        words="the manifest and the lock name different commits", evidence=evidence,
        fix=f"ask upstream which is right: {again}; or {spot.restore()}",
    )  # fmt: skip


def _witnesses(
    locked: TargetLock, named: Oid | None, origins: Sequence[Origin], upstream: Oid | None
) -> Iterator[tuple[bool, str]]:
    """Who knows which of the two is right: whether it is the lock, and why."""
    for origin in origins:
        if origin.known and origin.commit == locked.commit:
            yield True, f"{origin.words} is the lock's commit, with the tree that the lock has"
        elif origin.known and named is not None and origin.commit == named:
            yield False, f"{origin.words} is the manifest's commit, with the tree that the lock has"
    if upstream is not None and upstream in (locked.commit, named):
        yield upstream == locked.commit, f"upstream's tag points at {upstream}"


def _committed(facts: Facts, target: str, locked: Oid, named: Oid | None) -> Iterator[tuple[bool, str]]:
    """As `_witnesses`, from the last committed versions of both files."""
    before = committed.target_of(facts.lock_file, target)
    if before is not None and before.commit == named:
        yield False, "the committed lock names the manifest's commit"
    elif target == MAIN_TARGET and committed.commit_in(facts.folder / manifest.FILE) == locked:
        yield True, "the committed manifest names the lock's commit"


def _wrong_lock(facts: Facts, words: str, evidence: tuple[str, ...]) -> Check:
    spot = Spot(folder=facts.folder, file=facts.lock_file)
    return Check(
        name=COMMIT, state=State.WRONG, parts=(Part.LOCK,), words="the lock names a wrong commit",
        evidence=(*evidence, words), fix=spot.restore(),
    )  # fmt: skip


def _wrong_manifest(facts: Facts, words: str, evidence: tuple[str, ...]) -> Check:
    return Check(
        name=COMMIT, state=State.WRONG, parts=(Part.TAG,), words="the manifest names a wrong commit",
        evidence=(*evidence, words), fix=manifest_back(facts),
    )  # fmt: skip


def manifest_back(facts: Facts) -> str:
    """How to get the manifest back."""
    return Spot(folder=facts.folder, file=facts.folder / manifest.FILE).checkout()


def sources(
    facts: Facts, draft: Draft, target: str, origins: Sequence[Origin], place: Worktree | None
) -> Iterator[Check]:
    """Each source at hand is the one that manifest and lock mean."""
    locked = facts.locked.targets.get(target) if facts.locked else None
    for origin in origins:
        if origin.commit is None:
            yield _lost(facts, origin)
        elif origin.pinned or origin.known:
            yield from _tied(facts, draft, origin)
        elif origin.kind in (GIT, SDIST, TREE):
            fix = _again(facts, origin)
            if place is not None and origin.kind == TREE:
                fix = way_back(place, draft.tag, draft.commit_of(target), locked, draft.root)
            yield Check(
                name=SOURCE, state=State.WRONG, parts=(Part.TAG,),
                words=f"the source {origin.words} is of another commit",
                evidence=(f"commit {origin.commit}, tree {origin.tree}", "manifest and lock have others"),
                fix=fix,
            )  # fmt: skip
        else:
            words = f"{origin.words} was taken as it was from a folder or archive; it proves nothing"
            yield Check(name=SOURCE, state=State.NOTE, parts=(Part.TAG,), words=words)


def _tied(facts: Facts, draft: Draft, origin: Origin) -> Iterator[Check]:
    if origin.kind == SDIST and not origin.pinned:
        yield Check(
            name=SOURCE, state=State.WRONG, parts=(Part.TAG,),
            words="the manifest pins another archive than the one at hand, whose files the lock has",
            evidence=(f"{origin.words}: commit {origin.commit}, tree {origin.tree}", _pin(draft, origin)),
            fix=manifest_back(facts),
        )  # fmt: skip
        return
    by = [name for name, tied in (("manifest", origin.pinned), ("lock", origin.known)) if tied]
    parts = (Part.LOCK, Part.TAG) if origin.known else (Part.TAG,)
    yield Check(
        name=SOURCE, state=State.AGREES, parts=parts,
        words=f"the source {origin.words} is the one that {' and '.join(by)} mean",
        evidence=(f"commit {origin.commit}, tree {origin.tree}",),
    )  # fmt: skip


def _pin(draft: Draft, origin: Origin) -> str:
    sdist = draft.pin.sdist
    if sdist is None:
        return "the manifest pins no archive"
    return f"the pinned {sdist.project} {sdist.version} would be the commit {sdist.commit_id(origin.tree)}"


def broken(facts: Facts, proofs: Sequence[Proof]) -> Iterator[Check]:
    """Sources whose objects cannot be read."""
    for proof in proofs:
        if proof.broken:
            told = [f"{oid}: {words}" for oid, words in sorted(proof.broken.items())]
            yield _damaged(facts, proof.origin, *told)


def unreadable(facts: Facts, origin: Origin, words: str) -> Check:
    """A source whose tree itself cannot be read."""
    return _damaged(facts, origin, *words.splitlines())


def _damaged(facts: Facts, origin: Origin, *evidence: str) -> Check:
    keep = f"move {origin.folder} away (worktrees made of it have to be made again), then: {_source(facts)}"
    return Check(
        name=SOURCE, state=State.WRONG, parts=(Part.TAG,), words=f"the source in {origin.folder} is damaged",
        evidence=(origin.words, *evidence), fix=keep,
    )  # fmt: skip


def _lost(facts: Facts, origin: Origin) -> Check:
    return Check(
        name=SOURCE, state=State.WRONG, parts=(Part.TAG,), words=f"the source in {origin.folder} is damaged",
        evidence=(f"{origin.ref} names objects that are not there",), fix=_again(facts, origin),
    )  # fmt: skip


def _again(facts: Facts, origin: Origin) -> str:
    folder = advice.quoted(str(origin.folder))
    return f"git --git-dir={folder} update-ref -d {origin.ref}; then: {_source(facts)}"


def _source(facts: Facts) -> str:
    return Spot(folder=facts.folder, file=facts.lock_file).source()


def ask(draft: Draft, git: Git, remotes: Remotes) -> tuple[Oid | None, Check]:
    """What upstream's tag points at now."""
    pin = draft.pin
    try:
        found = remotes.tag_commit(git, pin.url, pin.tag)
    except UNOBTAINABLE as error:
        words = f"upstream was not asked: {error.message.splitlines()[0]}"
        return None, Check(name=UPSTREAM, state=State.UNCHECKED, parts=(Part.TAG,), words=words)
    if pin.means(found) or (pin.commit is None and pin.abbreviated is None):
        words = f"the tag {pin.tag} of {pin.url} points at {found}"
        return found, Check(name=UPSTREAM, state=State.AGREES, parts=(Part.TAG,), words=words)
    return found, Check(
        name=UPSTREAM, state=State.WRONG, parts=(Part.TAG,), words=f"the tag {pin.tag} has moved upstream",
        evidence=(f"manifest {pin.commit or pin.abbreviated}", f"{pin.url} {found}"),
        fix="find out why before you trust it; the patch set is made for the pinned commit",
    )  # fmt: skip
