"""How far a human is in the worktree of a hand-off: what is decided, and what git still asks."""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.merge import BASE, OURS, THEIRS, Conflict
from winvllm_build.patchset.worktree import Worktree, open_worktree, scratch_of
from winvllm_build.port import bench
from winvllm_build.port.carry import Carried
from winvllm_build.port.handoff import recomputed, unmerged
from winvllm_build.port.locate import Location, locate
from winvllm_build.port.resolve import CONTENTS
from winvllm_build.port.state import HandOff, Phase, State
from winvllm_build.port.verdict import Kind, Verdict

MARKER: Final = re.compile(rb"(?:<{7,}|\|{7,}|>{7,})(?: .*)?\r?")
"""A line that begins, divides or ends a conflict; `=======` alone may be a headline."""


class Stand(enum.Enum):
    """Where an open patch stands."""

    CONFLICT = "in conflict"
    """Git has several versions of it, or markers are left."""
    LOOK = "to decide"
    """Git sees no conflict, but a human has to look at it."""
    EDITED = "resolved"
    """A human changed it, or told git which version it is."""
    REMEMBERED = "resolved as before"
    """Git resolved it as a human did at an earlier time."""
    ACCEPTED = "accepted"
    SKIPPED = "skipped"

    @property
    def is_decided(self) -> bool:
        return self not in (Stand.CONFLICT, Stand.LOOK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A line of a conflict that was left in a file."""

    path: RepoPath
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPatch:
    """A patch that had to be decided.

    Attributes:
        verdict: what it was when it was handed over.
        stand: where it stands.
        unmerged: its paths that git has several versions of.
        explicit: those of them that only `git add` or `git rm` decides.
        marks: conflict lines that are left.
        located: where its code is now, if its file is gone and someone looked (`look`).
    """

    verdict: Verdict
    stand: Stand
    unmerged: tuple[RepoPath, ...]
    explicit: tuple[RepoPath, ...]
    marks: tuple[Mark, ...]
    located: tuple[Location, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The worktree as it is now.

    Attributes:
        place: the worktree.
        now: its tracked files exactly as they lie, as a tree.
        patches: the open ones.
        marks: conflict lines in other files that were changed.
        untracked: files that git does not know.
    """

    place: Worktree
    now: Oid
    patches: tuple[OpenPatch, ...]
    marks: tuple[Mark, ...]
    untracked: tuple[RepoPath, ...]

    @property
    def undecided(self) -> tuple[OpenPatch, ...]:
        return tuple(patch for patch in self.patches if not patch.stand.is_decided)


def examine(handoff: HandOff, carried: Carried) -> Progress:
    """Where every open patch of the hand-off stands.

    Raises:
        TreeStateError: the worktree is gone.
    """
    place = open_worktree(handoff.worktree)
    now = bench.exact(place)
    asked = unmerged(place)
    changed = frozenset(tree.difference(place.git, handoff.laid, now))
    marks = _marks(place.git, now, {*_conflicting(carried), *changed, *asked}, handoff)
    own = frozenset(tree.difference(place.git, handoff.unit.new_base, now))
    view = _View(
        handoff=handoff, carried=carried, asked=asked, marks=marks, changed=changed,
        upstream=frozenset(handoff.remembered) - own,
    )  # fmt: skip
    patches = tuple(view.patch(verdict) for verdict in carried.open)
    owned = {mark for patch in patches for mark in patch.marks}
    return Progress(
        place=place, now=now, patches=patches, untracked=bench.unknown(place),
        marks=tuple(mark for found in marks.values() for mark in found if mark not in owned),
    )  # fmt: skip


def places_of(verdict: Verdict) -> tuple[RepoPath, ...]:
    """Every path that a verdict is about, in the old tag or the new one."""
    own = (verdict.path,) if verdict.to is None else (verdict.to, verdict.path)
    return tuple(dict.fromkeys((*own, *verdict.places)))


def look(state: State) -> Progress | None:
    """`examine` of a port that waits for a human; None where it does not, or has no worktree.

    Raises:
        TreeStateError: the worktree is gone.
    """
    if state.phase is not Phase.OPEN or state.handoff is None:
        return None
    found = examine(state.handoff, recomputed(state.handoff, resolve=state.resolve))
    return replace(found, patches=tuple(_located(state.handoff, found.patches)))


def merged_mode(conflict: Conflict) -> str | None:
    """The mode of a file that all three sides have; None where that is in conflict too."""
    if set(conflict.stages) != {BASE, OURS, THEIRS}:
        return None
    base, ours, theirs = (conflict.stages[side].mode for side in (BASE, OURS, THEIRS))
    if theirs in (base, ours):
        return ours
    return theirs if ours == base else None


def _located(handoff: HandOff, patches: Sequence[OpenPatch]) -> Iterator[OpenPatch]:
    """The patches, those of files that upstream deleted with where their code is."""
    gone = [p.verdict.path for p in patches if p.verdict.kind is Kind.DELETED and not p.stand.is_decided]
    if not gone:
        yield from patches
        return
    unit = handoff.unit
    with scratch_of(handoff.repository / "objects") as git:
        before = tree.export(git, unit.old_base, unit.old_patched)
        for patch in patches:
            was = before.get(patch.verdict.path) if patch.verdict.path in gone else None
            yield patch if was is None else replace(patch, located=locate(git, unit.new_base, was))


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The worktree: what git asks about, conflict lines, what was changed, what is upstream's.

    A resolution that leaves no patch was right then; whether it is now, someone has to say again.
    """

    handoff: HandOff
    carried: Carried
    asked: frozenset[RepoPath]
    marks: Mapping[RepoPath, tuple[Mark, ...]]
    changed: frozenset[RepoPath]
    upstream: frozenset[RepoPath]

    def patch(self, verdict: Verdict) -> OpenPatch:
        places = places_of(verdict)
        mine = tuple(path for path in places if path in self.asked)
        explicit = tuple(path for path in mine if not self._is_between_lines(path))
        left = tuple(mark for path in places for mark in self.marks.get(path, ()))
        return OpenPatch(
            verdict=verdict, unmerged=mine, explicit=explicit, marks=left,
            stand=Stand.CONFLICT if explicit or left else self._without_conflict(verdict),
        )  # fmt: skip

    def _without_conflict(self, verdict: Verdict) -> Stand:
        handoff, conflicts = self.handoff, self.carried.merge.conflicts
        if verdict.path in handoff.skipped:
            return Stand.SKIPPED
        if verdict.path in handoff.accepted:
            return Stand.ACCEPTED
        if not self.changed.isdisjoint(places_of(verdict)):
            return Stand.EDITED
        remembered = [path for path in verdict.places if path in handoff.remembered]
        if remembered:
            return Stand.LOOK if self.upstream.issuperset(remembered) else Stand.REMEMBERED
        asked_once = any(conflicts[path].stages for path in verdict.places if path in conflicts)
        return Stand.EDITED if asked_once else Stand.LOOK

    def _is_between_lines(self, path: RepoPath) -> bool:
        """Whether the conflict there is over when no marker is left in the file."""
        found = self.carried.merge.conflicts.get(path)
        return found is not None and found.kinds == CONTENTS and merged_mode(found) is not None


def _conflicting(carried: Carried) -> set[RepoPath]:
    return {place for verdict in carried.open for place in places_of(verdict)}


def _marks(
    git: Git, now: Oid, paths: Iterable[RepoPath], handoff: HandOff
) -> dict[RepoPath, tuple[Mark, ...]]:
    """Conflict lines by file; what a side of the merge has as often is no such line."""
    wanted = tuple(sorted(paths))
    if not wanted:
        return {}
    unit = handoff.unit
    here = git.entries(now, wanted)
    sides = [git.entries(side, wanted) for side in (unit.old_base, unit.old_patched, unit.new_base)]
    ids = [entry.oid for entries in (here, *sides) for entry in entries.values()]
    blobs = tree.contents(git, ids)
    found = {}
    for path, entry in here.items():
        lines = {n: line for n, line in enumerate(blobs[entry.oid].split(b"\n"), 1) if MARKER.fullmatch(line)}
        if lines:
            own = [blobs[side[path].oid].split(b"\n").count for side in sides if path in side]
            times = Counter(lines.values())
            more = {line for line, count in times.items() if all(count > side(line) for side in own)}
            found[path] = tuple(Mark(path=path, line=n) for n, line in lines.items() if line in more)
    return {path: marks for path, marks in found.items() if marks}
