"""What the files of a worktree may be: as asked for, as upstream has them, as other layers leave them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset.layers import Selection, select, selections
from winvllm_build.patchset.lock import Side
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.patchset.tree import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The contents that one file is known to have.

    Attributes:
        upstream: without any layer.
        wanted: with the layers asked for.
        others: with other layers, where that is neither of the two.
    """

    upstream: Side
    wanted: Side
    others: frozenset[Side]

    def named(self, current: Oid, mode: Callable[[], str]) -> Side | None:
        """Which of them lies there; `mode` is asked for only where it decides."""
        same = [side for side in (self.wanted, self.upstream, *self.others) if side.oid == current]
        if len({side.mode for side in same}) > 1:
            there = mode()
            same = [side for side in same if side.mode == there] or same
        return same[0] if same else None

    def knows(self, oid: Oid) -> bool:
        return any(side.oid == oid for side in (self.wanted, self.upstream, *self.others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The files that any layer of a set changes in a source tree.

    Attributes:
        selection: the layers asked for.
        wanted: what they do.
        sides: what each file may be, those included that only other layers change.
        rest: what each other allowed combination leaves, where that differs from upstream's.
    """

    selection: Selection
    wanted: Mapping[RepoPath, Entry]
    sides: Mapping[RepoPath, Sides]
    rest: Mapping[Selection, Mapping[RepoPath, Side]]

    def found(self, present: Mapping[RepoPath, Side | None]) -> Selection | None:
        """The layers whose files these are, all of them; None for no known combination or none at all."""
        if all(present[path] == sides.upstream for path, sides in self.sides.items()):
            return None
        if all(present[path] == sides.wanted for path, sides in self.sides.items()):
            return self.selection
        return next((chosen for chosen, left in self.rest.items() if self._left(present, left)), None)

    def _left(self, present: Mapping[RepoPath, Side | None], left: Mapping[RepoPath, Side]) -> bool:
        return all(present[path] == left.get(path, sides.upstream) for path, sides in self.sides.items())


def known(patch_set: PatchSet, selection: Selection | None, target: str) -> Known:
    """What the lock knows of the files of a source tree.

    Args:
        patch_set: the set.
        selection: the layers asked for; None for the required one alone.
        target: the source tree.
    """
    asked = selection or select(patch_set.manifest)
    wanted = patch_set.selected(asked, target)
    others = {
        one: patch_set.selected(one, target)
        for one in (selections(patch_set.manifest) if patch_set.target(target).optional else ())
        if one != asked
    }
    first = {path: _before(entry) for found in (wanted, *others.values()) for path, entry in found.items()}
    rest = {one: {path: _after(entry) for path, entry in found.items()} for one, found in others.items()}
    sides = {
        path: Sides(
            upstream=upstream,
            wanted=_after(wanted[path]) if path in wanted else upstream,
            others=frozenset(left.get(path, upstream) for left in rest.values()),
        )
        for path, upstream in sorted(first.items())
    }
    return Known(selection=asked, wanted=wanted, sides=sides, rest=rest)


def _before(entry: Entry) -> Side:
    return Side(oid=entry.pre, mode=entry.modes[0])


def _after(entry: Entry) -> Side:
    return Side(oid=entry.post, mode=entry.modes[1])
