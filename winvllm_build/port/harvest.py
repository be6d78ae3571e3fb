"""What a human left in the worktree: the trees of a layer, and an entry for every old patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.errors import ConflictError, TreeStateError
from winvllm_build.git import RepoPath, TreeEntry
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.lineends import refuse_crlf
from winvllm_build.patchset.record import Decision, Ported
from winvllm_build.patchset.worktree import Worktree, scratch
from winvllm_build.port import bench
from winvllm_build.port.carry import Carried
from winvllm_build.port.decide import Side
from winvllm_build.port.handoff import RERERE, unmerged
from winvllm_build.port.port import entry_of
from winvllm_build.port.progress import OpenPatch, Progress, Stand, merged_mode, places_of
from winvllm_build.port.relocation import home_of
from winvllm_build.port.state import Done, HandOff, State
from winvllm_build.port.verdict import Verdict

NOT_ANCESTOR: Final = (1, 128)
SKIPPED: Final = "given up in the port from {old}"
REMOVED: Final = "its file was removed by hand: upstream has none"
EVIDENCE: Final = {
    Stand.EDITED: "resolved by hand",
    Stand.REMEMBERED: "resolved as an earlier time",
    Stand.ACCEPTED: "accepted as {side} has it",
    Stand.SKIPPED: "edited after it was given up",
}
"""How an open patch got its content."""
SIDES: Final = {
    Side.MERGE.value: "the merge", Side.STRICT.value: "strict application", Side.PROPOSAL.value: "mergiraf",
}  # fmt: skip


def refuse_unready(state: State, handoff: HandOff, progress: Progress) -> None:
    """Nothing is taken from the worktree before every open patch is decided.

    Raises:
        ConflictError: patches that are not, with what is missing for each.
        TreeStateError: the worktree is no longer the hand-off's, or has files that git does not know.
    """
    place = progress.place
    if place.git.run("merge-base", "--is-ancestor", handoff.onto, "HEAD", ok=(0, *NOT_ANCESTOR)).code:
        raise TreeStateError(
            f"{place.folder} has another commit checked out than the port's", fix=state.command("--restart")
        )
    missing = [_missing(patch) for patch in progress.undecided]
    missing += [f"{mark.path}:{mark.line}: a conflict line is left" for mark in progress.marks]
    if missing:
        raise ConflictError(
            "\n  ".join([f"the port to {state.new} has open patches in {place.folder}:", *missing]),
            fix=f"decide each ({state.command('--status')} says how), then {state.command('--continue')}",
        )
    if progress.untracked:
        listed = "".join(f"\n  {path}" for path in progress.untracked)
        raise TreeStateError(
            f"{place.folder} has files that git does not know:{listed}",
            fix=f"git -C {place.folder} add FILE to make a patch of it, or delete it",
        )


def settle(carried: Carried, progress: Progress) -> Progress:
    """Tell git that files without conflict lines are resolved, and let it remember how.

    The tree that results has the modes that the merge gives; an unmerged file had upstream's.
    """
    place, conflicts = progress.place, carried.merge.conflicts
    now = place.git.entries(progress.now)
    resolved: dict[RepoPath, TreeEntry | None] = {}
    for path in unmerged(place):
        mode = merged_mode(conflicts[path])
        whole = path in now and mode is not None
        resolved[path] = TreeEntry(mode=mode or "", oid=now[path].oid, path=path) if whole else None
    bench.put(place, resolved)
    remember(place)
    return replace(progress, now=bench.exact(place))


def remember(place: Worktree) -> None:
    """Keep the resolutions of files without conflict lines for the next time the same conflict appears."""
    place.git.run(*RERERE, "rerere")


def harvest(state: State, handoff: HandOff, carried: Carried, progress: Progress) -> Done:
    """The decided layer.

    Raises:
        ConflictError: patches that were clean are gone from the worktree.
        TreeStateError: CRLF was brought into a file, or a file became a link.
        PatchError: a path or mode that no patch may have.
    """
    unit = handoff.unit
    with scratch(progress.place) as git:
        diffs = tree.export(git, unit.new_base, progress.now)
        before = tree.export(git, unit.old_base, unit.old_patched)
        refuse_crlf(git, diffs, known=before)
    _refuse_vanished(state, handoff, carried, diffs)
    view = _View(old=state.old, handoff=handoff, carried=carried, before=before, diffs=diffs)
    entries = [view.clean(verdict) for verdict in carried.verdicts.values() if not verdict.kind.is_open]
    entries += [view.decided(patch) for patch in progress.patches]
    handoff.git.out("update-ref", state.ref(f"done/{handoff.target}/{handoff.layer}"), progress.now)
    return Done(
        target=handoff.target, layer=handoff.layer, repository=handoff.repository, base=unit.new_base,
        patched=progress.now, entries=tuple(entries),
    )  # fmt: skip


def _missing(patch: OpenPatch) -> str:
    """What is left to do about one patch."""
    if patch.marks:
        lines = ", ".join(f"{mark.path}:{mark.line}" for mark in patch.marks)
        return f"{patch.verdict.path}: conflict lines are left at {lines}"
    if patch.explicit:
        asked = ", ".join(patch.explicit)
        return f"{patch.verdict.path}: `git add` or `git rm` has to say what becomes of {asked}"
    return f"{patch.verdict.path}: git has no question, but you have to say; edit, --accept or --skip it"


def _refuse_vanished(
    state: State, handoff: HandOff, carried: Carried, diffs: Mapping[RepoPath, Diff]
) -> None:
    gone = [path for to, path in carried.sources.items() if to not in diffs and path not in handoff.skipped]
    if gone:
        listed = "".join(f"\n  {path}" for path in gone)
        skips = [word for path in gone for word in ("--skip", path)]
        raise ConflictError(
            f"patches that were carried are gone from {handoff.worktree}:{listed}",
            fix=f"if they are meant to go: {state.command(*skips)}; else: {state.command('--restart')}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The old patches' diffs, what was handed over, and the diffs that are there now."""

    old: str
    handoff: HandOff
    carried: Carried
    before: Mapping[RepoPath, Diff]
    diffs: Mapping[RepoPath, Diff]

    def clean(self, verdict: Verdict) -> Ported:
        """A patch that nobody was asked about; a human may have changed it all the same."""
        entry = entry_of(self.handoff.target, self.handoff.layer, verdict)
        place = self._place(verdict)
        if place is None:
            return self._given_up(entry) if verdict.path in self.handoff.skipped else entry
        if self.diffs[place] == self.carried.diffs.get(place):
            return entry
        return _resolved(entry, place, "changed by hand")

    def decided(self, patch: OpenPatch) -> Ported:
        """A patch that was open."""
        verdict = patch.verdict
        entry = entry_of(self.handoff.target, self.handoff.layer, verdict)
        place = self._place(verdict)
        if place is not None:
            side = self.handoff.accepted.get(verdict.path, "")
            return _resolved(entry, place, EVIDENCE[patch.stand].format(side=SIDES.get(side, side)))
        if patch.stand is Stand.SKIPPED:
            return self._given_up(entry)
        place = self._elsewhere(verdict)
        if place is not None:
            return _resolved(entry, place, f"moved by hand to {place}")
        if not self.handoff.git.entries(self.handoff.unit.new_base, places_of(verdict)):
            return replace(entry, to=None, decision=Decision.DROPPED, reason=REMOVED)
        words = (*entry.evidence, "resolved to upstream's file: no difference is left")
        return replace(entry, decision=Decision.UPSTREAMED, evidence=words)

    def _place(self, verdict: Verdict) -> RepoPath | None:
        return next((path for path in places_of(verdict) if path in self.diffs), None)

    def _elsewhere(self, verdict: Verdict) -> RepoPath | None:
        """A file that no patch was about and that has the changes of this one now."""
        if verdict.path not in self.before:
            return None
        owned = {path for other in self.carried.verdicts.values() for path in places_of(other)}
        free = ((path, diff) for path, diff in self.diffs.items() if path not in owned)
        return home_of(verdict.path, self.before, free)

    def _given_up(self, entry: Ported) -> Ported:
        reason = self.handoff.skipped[entry.path] or SKIPPED.format(old=self.old)
        return replace(entry, to=None, decision=Decision.DROPPED, reason=reason)


def _resolved(entry: Ported, place: RepoPath, words: str) -> Ported:
    return replace(entry, to=place, decision=Decision.RESOLVED, evidence=(*entry.evidence, words))
