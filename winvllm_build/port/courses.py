"""What became of patches from tree to tree: where each one broke, and where it was carried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath, TreeEntry
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Change, Diff
from winvllm_build.port.carry import Carried, OldSide, Unit, carry, old_side
from winvllm_build.port.details import Details
from winvllm_build.port.renames import tree_of
from winvllm_build.port.timeline import State, Timeline
from winvllm_build.port.upstream import Met
from winvllm_build.port.verdict import Verdict

OTHER_CLONE: Final = "name a clone whose tag is the one that the set is made for"
Key = tuple[RepoPath, str, Oid]
"""One content that a patch's file had: path, mode, blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """From the moment `at` on a patch is open, or carried again; `halved` is how the moment was found."""

    at: int
    verdict: Verdict
    halved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A patch from tree to tree; its turns alternate, the first is where it broke."""

    path: RepoPath
    turns: tuple[Turn, ...]


class Courses:
    """Follows patches along a line of trees.

    While upstream has a patch's file, the verdict depends on that file alone. So all the contents that it
    ever had are judged by one merge, each in a folder of its own; only where the file is elsewhere or gone
    is the whole set carried, because two patches can want one new place. Every turn is then proven on the
    whole trees before and after it.
    """

    def __init__(self, git: Git, old: Oid, diffs: Mapping[RepoPath, Diff], trees: Sequence[Oid]) -> None:
        """Read the line.

        Args:
            git: a scratch repository that has all trees.
            old: the tree that the patches are made for.
            diffs: all patches of the set by path.
            trees: the line; patches are carried to each of them.

        Raises:
            PatchError: the patches are made for other files.
        """
        self.git = git
        self.old = old
        self.diffs = diffs
        self.line = Timeline(git, trees)
        self.last = len(trees) - 1
        self._files = git.entries(old)
        self._sides: dict[tuple[RepoPath, ...], tuple[Oid, OldSide]] = {}
        self._one: dict[tuple[RepoPath, int], Verdict] = {}
        self._all: dict[int, Mapping[RepoPath, Verdict]] = {}
        for path, diff in diffs.items():
            found = self._files[path].oid if path in self._files else NO_OBJECT
            if diff.pre is not None and diff.pre != found:
                raise PatchError(f"{path} is not the file that its patch is made for", fix=OTHER_CLONE)

    def real(self, path: RepoPath, at: int) -> Verdict:
        """The verdict on a patch on a whole tree."""
        if not self._is_alone(path, at):
            return self.all(at)[path]
        key = (path, at)
        if key not in self._one:
            self._one[key] = self._carried([path], at)[0].verdicts[path]
        return self._one[key]

    def all(self, at: int) -> Mapping[RepoPath, Verdict]:
        """The verdicts on all patches of the set."""
        if at not in self._all:
            self._all[at] = self._carried([*self.diffs], at)[0].verdicts
        return self._all[at]

    def met(self, path: RepoPath, at: int) -> Met:
        """A patch on a whole tree, with the regions of its conflict."""
        carried, side = self._carried([path] if self._is_alone(path, at) else [*self.diffs], at)
        found = Details(self.git).of(carried, side.diffs)
        return Met(
            patch=self.diffs[path], verdict=carried.verdicts[path], regions=found.get(path, ()),
            place=self.real(path, at - 1).to if at else None,
        )  # fmt: skip

    def _is_alone(self, path: RepoPath, at: int) -> bool:
        """Whether no other patch can matter: it changes a file that upstream has at its place."""
        there = self.diffs[path].change is Change.MODIFIED
        return there and self.line.state(path, at).is_there

    def _carried(self, paths: Sequence[RepoPath], at: int) -> tuple[Carried, OldSide]:
        patched, side = self._side(tuple(paths))
        unit = Unit(old_base=self.old, old_patched=patched, new_base=self.line.trees[at])
        return carry(self.git, unit, old=lambda: side), side

    def follow(self, paths: Sequence[RepoPath], *, on_patch: Callable[[RepoPath], None]) -> list[Course]:
        """The course of each of these patches; `on_patch` is told before each."""
        judged = self._judged([path for path in paths if self.diffs[path].change is Change.MODIFIED])
        made = []
        for path in paths:
            on_patch(path)
            made.append(self._proven(path, _turns(self._states(path, judged))))
        return made

    def _side(self, paths: tuple[RepoPath, ...]) -> tuple[Oid, OldSide]:
        """The tree with these patches alone."""
        if paths not in self._sides:
            diffs = [self.diffs[path] for path in paths]
            patched = tree.compute(self.git, self.old, diffs, fix=OTHER_CLONE)
            self._sides[paths] = patched, old_side(self.git, self.old, patched)
        return self._sides[paths]

    def _judged(self, paths: Sequence[RepoPath]) -> dict[Key, Verdict]:
        """A verdict for each content that each of these files had."""
        there = {
            (path, state.mode, state.oid)
            for path in paths
            for state in self.line.states(path)
            if state.is_there
        }
        places = {key: RepoPath(f"{number}/{key[0]}") for number, key in enumerate(sorted(there))}
        if not places:
            return {}
        steps = {path: self._side((path,))[1].steps[path] for path in paths}
        old = self._tree((place, steps[key[0]].modes[0], steps[key[0]].pre) for key, place in places.items())
        patched = self._tree(
            (place, steps[key[0]].modes[1], steps[key[0]].post) for key, place in places.items()
        )
        new = self._tree((place, key[1], key[2]) for key, place in places.items())
        found = carry(self.git, Unit(old_base=old, old_patched=patched, new_base=new)).verdicts
        return {key: found[place] for key, place in places.items()}

    def _tree(self, files: Iterator[tuple[RepoPath, str, Oid]]) -> Oid:
        return tree_of(self.git, (TreeEntry(path=path, mode=mode, oid=oid) for path, mode, oid in files))

    def _states(self, path: RepoPath, judged: Mapping[Key, Verdict]) -> Iterator[Turn]:
        """Each moment at which the verdict may be another one."""
        states = self.line.states(path)
        ends = [*(state.since - 1 for state in states[1:]), self.last]
        for state, end in zip(states, ends, strict=True):
            known = judged.get((path, state.mode, state.oid))
            if known is not None:
                yield Turn(at=state.since, verdict=known)
            else:
                yield from self._away(path, state, end)

    def _away(self, path: RepoPath, state: State, end: int) -> Iterator[Turn]:
        """While the file is elsewhere or gone: both ends, and where they differ, by halving."""
        first, last = self.real(path, state.since), self.real(path, end)
        yield Turn(at=state.since, verdict=first)
        if first.kind.is_open != last.kind.is_open:
            places = [place for one in (first, last) for place in (one.to, *one.places) if place]
            moments = self.line.touching(places, state.since, end)
            yield self._halved(path, [*moments, *([] if end in moments else [end])], wanted=last.kind.is_open)

    def _halved(self, path: RepoPath, moments: Sequence[int], *, wanted: bool) -> Turn:
        """The first of `moments` at which the patch is open (or not, as `wanted`); at the last it is."""
        low, high = 0, len(moments) - 1
        while low < high:
            middle = (low + high) // 2
            if self.real(path, moments[middle]).kind.is_open == wanted:
                high = middle
            else:
                low = middle + 1
        return Turn(at=moments[low], verdict=self.real(path, moments[low]), halved=True)

    def _proven(self, path: RepoPath, turns: Sequence[Turn]) -> Course:
        """The same turns with the verdicts of whole trees; if those disagree, one turn found by halving."""
        proven = [replace(turn, verdict=self.real(path, turn.at)) for turn in turns]
        agreed = all(self._is_turn(path, turn, opens=number % 2 == 0) for number, turn in enumerate(proven))
        is_open = self.real(path, self.last).kind.is_open
        if agreed and is_open == (len(proven) % 2 == 1):
            return Course(path=path, turns=tuple(proven))
        found = [self._halved(path, range(self.last + 1), wanted=True)] if is_open else []
        return Course(path=path, turns=tuple(found))

    def _is_turn(self, path: RepoPath, turn: Turn, *, opens: bool) -> bool:
        before = turn.at > 0 and self.real(path, turn.at - 1).kind.is_open
        return turn.verdict.kind.is_open == opens and before != opens


def _turns(states: Iterator[Turn]) -> list[Turn]:
    """Those at which the patch becomes open, or is carried again."""
    found: list[Turn] = []
    was_open = False
    for state in states:
        if state.verdict.kind.is_open != was_open:
            found.append(state)
            was_open = state.verdict.kind.is_open
    return found
