"""`doctor patches`: which of patch files, lock, tag and tool is wrong, from facts that are there twice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from winvllm_build.git import GitError, Oid
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft
from winvllm_build.patchset.worktree import Worktree, open_worktree, scratch_of
from winvllm_build.review import leftovers, tag_check, tool_check, trees_check, verdicts
from winvllm_build.review.diagnosis import UNWELL, Check, Diagnosis, Part, State
from winvllm_build.review.facts import Facts, gather
from winvllm_build.review.fixes import Spot, with_fix
from winvllm_build.review.origins import Origin, origins, repository_of
from winvllm_build.review.proof import Outcome, Proof, prove
from winvllm_build.review.rules import Finding, Rule
from winvllm_build.sources.remote import Remotes
from winvllm_build.workspace import Workspace

SET: Final = "set"
READ: Final = "source"
IN_THE_WAY: Final = (
    Rule.HEADER, Rule.HEADER_DIFF, Rule.LAYER, Rule.TARGET, Rule.STRAY,
)  # fmt: skip
"""What keeps a set from being read, beside malformed diffs."""


def examine(
    root: Path, tag: str, *, workspace: Workspace, tree: Path | None = None, target: str = MAIN_TARGET,
    online: bool = False,
) -> Diagnosis:  # fmt: skip
    """Compare everything that is known twice about a patch set; nothing is written anywhere.

    Args:
        root: the folder of all patch sets.
        tag: which one.
        workspace: where the source is kept, if it is.
        tree: a worktree to take the source from as well, and to look for leftovers in.
        target: the source tree that `tree` is of.
        online: ask upstream what the tag points at now.

    Raises:
        PatchError: there is no patch set of that tag.
        TreeStateError: `tree` is no worktree.
        ToolchainError: git is missing or too old.
    """
    facts, findings = gather(root, tag)
    place = None if tree is None else open_worktree(tree)
    tool = tool_check.check()
    checks = [*_forms(facts, findings), tool]
    draft = facts.draft
    if draft is None:
        checks += verdicts.judge(facts, MAIN_TARGET, ())
        return Diagnosis(tag=tag, checks=tuple(checks))
    upstream = None
    if online:
        upstream, asked = _ask(draft)
        checks.append(asked)
    for name in _targets(facts, draft):
        patient = _Target(facts, draft, name, workspace, place if name == target else None)
        checks += patient.checks(upstream if name == MAIN_TARGET else None, tool)
    checks += leftovers.check(facts, workspace, repository_of(draft, MAIN_TARGET, workspace), place)
    return Diagnosis(tag=tag, checks=tuple(checks))


def _ask(draft: Draft) -> tuple[Oid | None, Check]:
    with tempfile.TemporaryDirectory(prefix="winvllm-doctor-") as name, scratch_of(Path(name)) as git:
        return tag_check.ask(draft, git, Remotes())


def _targets(facts: Facts, draft: Draft) -> list[str]:
    """The source trees that have patches, or had."""
    locked = facts.locked.targets if facts.locked else {}
    named = {*locked, *(reading.place.target for reading in facts.readings)}
    return [name for name in draft.targets if name in named]


def _forms(facts: Facts, findings: Sequence[Finding]) -> Iterator[Check]:
    """Files that cannot be read at all."""
    for finding in findings:
        spot = Spot(folder=facts.folder, file=finding.file)
        words = f"{finding.file.relative_to(facts.folder.parent).as_posix()}: {finding.message}"
        if finding.rule is Rule.MANIFEST:
            yield _wrong(Part.TAG, "the manifest is damaged", words, fix=spot.checkout())
        elif finding.rule is Rule.LOCK:
            yield _wrong(Part.LOCK, "the lock is damaged", words, fix=spot.restore())
        elif finding.rule in IN_THE_WAY:
            back = f"; or get it back: {spot.checkout()}" if finding.file.is_file() else ""
            fix = with_fix(facts, finding).fix + back
            yield _wrong(Part.PATCHES, "the set cannot be read", words, fix=fix)
        elif finding.rule is Rule.FORM:
            yield Check(name=SET, state=State.NOTE, parts=(Part.PATCHES,), words=words)
    if facts.locked is None and facts.readings and not facts.lock_file.exists():
        spot = Spot(folder=facts.folder, file=facts.lock_file)
        yield _wrong(Part.LOCK, "the lock is gone", str(facts.lock_file), fix=spot.restore())


def _wrong(part: Part, words: str, *evidence: str, fix: str) -> Check:
    return Check(name=SET, state=State.WRONG, parts=(part,), words=words, evidence=evidence, fix=fix)


class _Target:
    """One source tree of the set, with what is known of it outside the set."""

    def __init__(
        self, facts: Facts, draft: Draft, name: str, workspace: Workspace, place: Worktree | None
    ) -> None:
        self._facts = facts
        self._draft = draft
        self._name = name
        self._place = place
        self._repository = repository_of(draft, name, workspace)
        self._locked = facts.locked.targets.get(name) if facts.locked else None

    def checks(self, upstream: Oid | None, tool: Check) -> list[Check]:
        """Every check of this source tree.

        Args:
            upstream: what upstream's tag points at, where it was asked.
            tool: the outcome of the check of git.
        """
        found, made = self._origins()
        proofs: list[Proof] = []
        for origin in self._usable(found):
            try:
                proofs.append(self._proof(origin))
            except GitError as error:
                made.append(tag_check.unreadable(self._facts, origin, error.message))
        made += tag_check.pinned(self._facts, self._draft, self._name, origins=found, upstream=upstream)
        made += tag_check.sources(self._facts, self._draft, self._name, found, self._place)
        made += tag_check.broken(self._facts, proofs)
        judged = list(verdicts.judge(self._facts, self._name, proofs))
        made += judged
        if self._locked is not None:
            wrong = any(check.state in UNWELL for check in judged)
            made += trees_check.check(self._facts, self._locked, proofs, known_wrong=wrong)
        made += tool_check.round_trip(self._facts, proofs, tool)
        return [*made, *self._proven(proofs)]

    def _origins(self) -> tuple[tuple[Origin, ...], list[Check]]:
        try:
            return origins(self._draft, self._name, self._locked, self._repository, self._place), []
        except GitError as error:
            words = f"the source repository {self._repository} cannot be read"
            fix = f"move {self._repository} away, then: {self._source()}"
            return (), [
                Check(name=READ, state=State.WRONG, parts=(Part.TAG,), words=words, evidence=(error.message,),
                      fix=fix)
            ]  # fmt: skip

    def _usable(self, found: Sequence[Origin]) -> list[Origin]:
        """What a proof can rest on: the lock's own trees, or the pinned ones where the lock agrees."""
        agree = self._locked is None or self._draft.locked(self._name) is not None
        usable: dict[tuple[Oid, Path], Origin] = {}
        for origin in found:
            if origin.commit is not None and (origin.known or (agree and origin.pinned)):
                usable.setdefault((origin.tree, origin.objects.resolve()), origin)
        return list(usable.values())

    def _proof(self, origin: Origin) -> Proof:
        with scratch_of(origin.objects) as git:
            return prove(git, self._facts, self._draft.manifest, origin, self._name)

    def _proven(self, proofs: Sequence[Proof]) -> Iterator[Check]:
        what = "" if self._name == MAIN_TARGET else f" of {self._name}"
        outcomes = [outcome for proof in proofs[:1] for outcome in proof.outcomes.values()]
        proven = outcomes.count(Outcome.PROVEN)
        if proven:
            words = f"{proven} patches{what} turn exactly the source's blob into the blob of their index line"
            parts = (Part.PATCHES, Part.TAG)
            yield Check(name=READ, state=State.AGREES, parts=parts, words=words)
        if not proofs:
            words = f"the source{what} is not here, so no patch was proven on it"
            fix = f"{self._source()}, then run this again"
            yield Check(
                name=READ, state=State.UNCHECKED, parts=(Part.TAG,), words=words, fix=fix, is_telling=True
            )  # fmt: skip

    def _source(self) -> str:
        return Spot(folder=self._facts.folder, file=self._facts.lock_file).source()
