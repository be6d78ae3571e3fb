"""Decisions about single patches of a hand-off: given up, or taken as some merge of them has it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from typing_extensions import assert_never

from winvllm_build.errors import UsageError
from winvllm_build.git import Oid, RepoPath, TreeEntry
from winvllm_build.patchset import tree
from winvllm_build.patchset.record import Key, Ported
from winvllm_build.patchset.worktree import Worktree, open_worktree
from winvllm_build.port import backup, bench, proposal
from winvllm_build.port.carry import Carried
from winvllm_build.port.progress import places_of
from winvllm_build.port.state import HandOff, State
from winvllm_build.port.verdict import Verdict
from winvllm_build.suggest import did_you_mean


class Side(enum.Enum):
    """What is taken of a patch without editing it."""

    MERGE = "merge"
    STRICT = "strict"
    PROPOSAL = "proposal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a human said about one path: `side` None gives the patch up, for `reason`."""

    path: RepoPath
    side: Side | None
    reason: str = ""


Content = Mapping[RepoPath, TreeEntry | None]
"""Files with what they become; None is no file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    verdict: Verdict
    side: Side | None
    reason: str
    content: Content


def decide(
    state: State, carried: Carried | None, entries: Sequence[Ported], wishes: Sequence[Wish], *,
    tell: Callable[[str], None],
) -> State:  # fmt: skip
    """Carry the wishes out in the worktree; the state that has them. All of them, or none.

    Args:
        state: the port.
        carried: the merge of its hand-off.
        entries: what became of every patch, as recorded.
        wishes: by a path in the old or the new tag each.
        tell: told what was kept, where a file had been edited.

    Raises:
        UsageError: no open patch has that path, or there is nothing to accept there.
    """
    handoff = state.handoff
    far: dict[Key, str] = {}
    near: list[_Decision] = []
    for wish in wishes:
        verdict = None if carried is None else _verdict(carried, wish.path)
        if handoff is not None and carried is not None and verdict is not None:
            near.append(_decision(_Case(state, handoff, carried), verdict, wish))
        else:
            far |= _elsewhere(state, entries, wish)
    if handoff is not None and near:
        handoff = _carry_out(handoff, near, tell)
    return replace(state, handoff=handoff, dropped={**state.dropped, **far})


def _verdict(carried: Carried, path: RepoPath) -> Verdict | None:
    """The patch that a path means: of that name, else at that place."""
    if path in carried.verdicts:
        return carried.verdicts[path]
    return next((verdict for verdict in carried.verdicts.values() if path in places_of(verdict)), None)


def _decision(case: _Case, verdict: Verdict, wish: Wish) -> _Decision:
    """What the wish makes of each file of the patch."""
    side = wish.side
    if side is Side.MERGE and case.has_proposal(verdict):
        side = Side.PROPOSAL
    match side:
        case None:
            content = case.upstream(verdict)
        case Side.MERGE:
            content = case.merged(verdict)
        case Side.STRICT:
            content = case.strict(verdict)
        case Side.PROPOSAL:
            content = case.proposal(verdict)
        case _:
            assert_never(side)
    return _Decision(verdict=verdict, side=side, reason=wish.reason, content=content)


class _Case:
    """What can be taken of the patches of a hand-off."""

    def __init__(self, state: State, handoff: HandOff, carried: Carried) -> None:
        self.state = state
        self.handoff = handoff
        self.git = handoff.git
        self.conflicts = carried.merge.conflicts

    def has_proposal(self, verdict: Verdict) -> bool:
        there = proposal.proposed(self.handoff)
        return any(path in there for path in places_of(verdict))

    def upstream(self, verdict: Verdict) -> Content:
        places = places_of(verdict)
        there = self.git.entries(self.handoff.unit.new_base, places)
        return {path: there.get(path) for path in places}

    def merged(self, verdict: Verdict) -> Content:
        """The merge that git has no question about, as it was handed over."""
        if not verdict.kind.is_open:
            raise UsageError(f"{verdict.path} is {verdict.kind.value}: there is nothing to accept")
        asked = [path for path in verdict.places if path in self.conflicts]
        if asked or verdict.to is None:
            what = ", ".join(verdict.conflicts) or verdict.kind.value
            raise UsageError(f"{verdict.path} has no merge to accept: {what}", fix=self._ways(verdict))
        return {verdict.to: self.git.entries(self.handoff.laid, (verdict.to,)).get(verdict.to)}

    def strict(self, verdict: Verdict) -> Content:
        place = verdict.to
        if verdict.strict is None or place is None:
            words = f"strict application says nothing else about {verdict.path}"
            raise UsageError(words, fix=self._ways(verdict))
        mode = self.git.entries(self.handoff.laid, (place,))[place].mode
        return {place: TreeEntry(mode=mode, oid=verdict.strict, path=place)}

    def proposal(self, verdict: Verdict) -> Content:
        place, content = proposal.content(self.handoff, verdict)
        oid = Oid(self.git.line("hash-object", "-w", "--no-filters", "--stdin", stdin=content))
        mode = self.git.entries(self.handoff.unit.new_base, (place,))[place].mode
        return {place: TreeEntry(mode=mode, oid=oid, path=place)}

    def _ways(self, verdict: Verdict) -> str:
        skip = self.state.command("--skip", verdict.path, "--reason", "WHY")
        return f"edit it in the worktree, then {self.state.command('--continue')}; or give it up: {skip}"


def _elsewhere(state: State, entries: Sequence[Ported], wish: Wish) -> dict[Key, str]:
    """A patch that no worktree is made for, given up.

    Raises:
        UsageError: there is no such patch, or several, or it cannot be given up yet.
    """
    named = [e for e in entries if wish.path in (e.path, f"{e.target}:{e.path}")]
    found = [e for e in named if e.target in state.stranded]
    if len(found) == 1 and wish.side is None:
        return {found[0].key: wish.reason}
    if len(found) > 1:
        listed = ", ".join(f"{entry.target}:{entry.path}" for entry in found)
        raise UsageError(f"{wish.path} is open in several places: {listed}", fix="name one of them")
    if named:
        raise UsageError(
            f"{wish.path} ({named[0].target}, layer {named[0].layer}) is not in the worktree now",
            fix=f"see what is: {state.command('--status')}",
        )
    raise UsageError(
        f"the port has no patch of {wish.path}{did_you_mean(wish.path, [e.path for e in entries])}",
        fix=state.command("--status"),
    )


def _carry_out(handoff: HandOff, near: Sequence[_Decision], tell: Callable[[str], None]) -> HandOff:
    place = open_worktree(handoff.worktree)
    wanted = {path: entry for decision in near for path, entry in decision.content.items()}
    _keep_edits(place, handoff, wanted, tell)
    bench.unlearn(place, [path for decision in near if decision.side is None for path in decision.content])
    bench.put(place, wanted)
    skipped, accepted = dict(handoff.skipped), dict(handoff.accepted)
    for decision in near:
        path = decision.verdict.path
        skipped.pop(path, None)
        accepted.pop(path, None)
        if decision.side is None:
            skipped[path] = decision.reason
        else:
            accepted[path] = decision.side.value
    return replace(handoff, skipped=skipped, accepted=accepted)


def _keep_edits(place: Worktree, handoff: HandOff, wanted: Content, tell: Callable[[str], None]) -> None:
    """Save the worktree where a file that is replaced has been edited."""
    now = bench.exact(place)
    edited = [path for path in tree.difference(place.git, handoff.laid, now) if path in wanted]
    if edited:
        ref = backup.keep(handoff.git, now, "The worktree before a decision", handoff.onto)
        tell(f"the edits of {', '.join(edited)} are kept as {ref}")
