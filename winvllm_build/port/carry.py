"""One source tree's patches carried to another tag: one merge, one verdict each, the clean ones as diffs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.errors import WinvllmError
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath, TreeEntry
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Change, Diff
from winvllm_build.patchset.merge import BASE, THEIRS, Conflict, Merge, transplant
from winvllm_build.patchset.tree import Entry
from winvllm_build.port import evidence
from winvllm_build.port.doubts import doubts
from winvllm_build.port.renames import Rename, renames
from winvllm_build.port.resolve import Resolution, resolutions
from winvllm_build.port.strict import at_path, could_apply, strict_results
from winvllm_build.port.verdict import Kind, Verdict

UNSURE: Final = (Kind.OFFSET, Kind.CONTEXT, Kind.MERGED, Kind.MOVED, Kind.PARTLY_UPSTREAMED, Kind.UPSTREAMED)
"""What strict application could see differently."""
EDITED: Final = (Kind.OFFSET, Kind.CONTEXT, Kind.MERGED, Kind.MOVED, Kind.PARTLY_UPSTREAMED)
"""Patches whose surroundings upstream changed."""
CONTESTED: Final = "contested"
"""Not git's: which patch a merged file belongs to cannot be said."""
_REPORT: Final = "report this with the output of `git --version`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A change to carry: from `old_base` to `old_patched`, onto `new_base` (three trees)."""

    old_base: Oid
    old_patched: Oid
    new_base: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class OldSide:
    """What a change is about, read once for as many new tags as one likes.

    Attributes:
        files: all of the old tag.
        diffs: the patches.
        steps: their ids and modes.
    """

    files: Mapping[RepoPath, TreeEntry]
    diffs: Mapping[RepoPath, Diff]
    steps: Mapping[RepoPath, Entry]


def old_side(git: Git, base: Oid, patched: Oid) -> OldSide:
    """The change from one tree to another."""
    steps = tree.difference(git, base, patched)
    return OldSide(files=git.entries(base), diffs=tree.export(git, base, patched, steps=steps), steps=steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a unit became.

    Attributes:
        verdicts: one for each patch of the old set, by path.
        tree: the new tag with the clean patches; what is open is upstream's there.
        diffs: the clean patches, by their path in the new tag.
        sources: the old path of each of them.
        resolved: conflicts of git's that had one answer, by their path in the new tag.
        merge: git's whole merge, conflicts included.
    """

    verdicts: Mapping[RepoPath, Verdict]
    tree: Oid
    diffs: Mapping[RepoPath, Diff]
    sources: Mapping[RepoPath, RepoPath]
    resolved: Mapping[RepoPath, Resolution]
    merge: Merge

    @property
    def open(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts.values() if verdict.kind.is_open)


def carry(git: Git, unit: Unit, *, resolve: bool = True, old: Callable[[], OldSide] | None = None) -> Carried:
    """Carry the change of `unit` in objects alone.

    Args:
        git: a scratch repository that has the three trees.
        unit: the change.
        resolve: settle conflicts that have one answer; otherwise they are conflicts like others.
        old: gives `old_side` of the change, where another has read it.
    """
    with ThreadPoolExecutor(1) as beside:  # the merge is the longest of git's commands
        merging = beside.submit(
            transplant, git, base=unit.old_base, changed=unit.old_patched, onto=unit.new_base
        )
        side = old() if old else old_side(git, unit.old_base, unit.old_patched)
        files = git.entries(unit.new_base)
        blobs = tree.Blobs(git)
        met = {oid for step in side.steps.values() for oid in (step.pre, step.post)}
        blobs.of(met | {files[path].oid for path in side.steps if path in files})
        merge = merging.result()
    marked = _in_conflict(git, merge)
    resolved = resolutions(git, merge, marked, blobs) if resolve else {}
    case = _Case(git, unit, merge, resolved, old=side, new=files, blobs=blobs)
    case.examine(marked)
    verdicts = {path: case.verdict(path) for path in case.before}
    verdicts |= case.unowned(verdicts)
    contested = case.contested(verdicts)
    verdicts |= contested
    with ThreadPoolExecutor(1) as beside:  # git applies the patches while the files are read here
        applying = case.applied(verdicts, beside)
        doubted = case.doubted(verdicts)
        doubtful = contested | case.ambiguous(verdicts, applying.result()) | doubted
    verdicts |= doubtful
    clean = case.reset(case.clean, [place for verdict in doubtful.values() for place in verdict.places])
    diffs = {path: diff for path, diff in case.diffs.items() if path not in _places(doubtful)}
    sources = {v.to: path for path, v in verdicts.items() if v.to is not None and v.kind.is_carried}
    if set(sources) != set(diffs):
        odd = sorted(set(sources) ^ set(diffs))
        raise WinvllmError(f"verdicts and merged tree disagree about {', '.join(odd)}", fix=_REPORT)
    return Carried(
        verdicts=verdicts, tree=clean, diffs=diffs, sources=sources, resolved=resolved, merge=merge
    )


def _in_conflict(git: Git, merge: Merge) -> dict[RepoPath, Oid]:
    """The files in conflict that the merged tree has."""
    there = git.entries(merge.tree, tuple(merge.conflicts)) if merge.conflicts else {}
    return {path: entry.oid for path, entry in there.items() if path in merge.conflicts}


def _places(verdicts: Mapping[RepoPath, Verdict]) -> set[RepoPath]:
    return {place for verdict in verdicts.values() for place in verdict.places}


class _Case:
    """What the three trees and the merge say about the patched files."""

    def __init__(
        self, git: Git, unit: Unit, merge: Merge, resolved: Mapping[RepoPath, Resolution], *,
        old: OldSide, new: Mapping[RepoPath, TreeEntry], blobs: tree.Blobs,
    ) -> None:  # fmt: skip
        self.git = git
        self.unit = unit
        self.resolved = resolved
        self.conflicts = {path: c for path, c in merge.conflicts.items() if path not in resolved}
        self.merge = merge
        self.old, self.before, self.steps = old.files, old.diffs, old.steps
        self.new = new
        self.blobs = blobs

    def examine(self, marked: Mapping[RepoPath, Oid]) -> None:
        """The clean tree and its diffs, the files upstream moved, and whose each conflict is."""
        self.clean = self.reset(self.merge.tree, self.conflicts, settled=self.resolved.values())
        steps = tree.difference(self.git, self.unit.new_base, self.clean)
        with ThreadPoolExecutor(1) as beside:
            exporting = beside.submit(tree.export, self.git, self.unit.new_base, self.clean, steps=steps)
            self.moved = self._moved(steps)
            self.diffs = exporting.result()
        left = {path: oid for path, oid in marked.items() if path in self.conflicts}
        read = self.blobs.of(left.values())
        self.regions = evidence.regions_of({path: read[oid] for path, oid in left.items()})
        self.owned: dict[RepoPath, list[Conflict]] = {}
        for path, conflict in self.conflicts.items():
            owner = self._owner(path, conflict)
            if owner is not None:
                self.owned.setdefault(owner, []).append(conflict)

    def _moved(self, steps: Collection[RepoPath]) -> dict[RepoPath, Rename]:
        """Looked for first among the few files that the merge touched, then among all that are new."""
        gone = {
            path: self.old[path]
            for path, diff in self.before.items()
            if diff.change is not Change.ADDED and path not in self.new
        }
        known = {*steps, *self.merge.conflicts} & self.new.keys() - self.steps.keys()
        found = renames(self.git, gone.values(), [self.new[path] for path in sorted(known)])
        settled = {*found, *self.conflicts}
        rest = [entry for path, entry in gone.items() if path not in settled]
        taken = {rename.new for rename in found.values()}
        added = [entry for path, entry in self.new.items() if path not in self.old and path not in taken]
        return found | renames(self.git, rest, added)

    def _owner(self, path: RepoPath, conflict: Conflict) -> RepoPath | None:
        """The patch a conflict is about: of that path, moved there, or with that file before or after it."""
        if path in self.steps:
            return path
        here = next((old for old, rename in self.moved.items() if rename.new == path), None)
        if here is not None:
            return here
        aside = next((old for old in self.steps if path.startswith(f"{old}~")), None)
        if aside is not None:
            return aside
        base, theirs = conflict.stages.get(BASE), conflict.stages.get(THEIRS)
        for old, step in self.steps.items():
            if (base and base.oid == step.pre) or (base is None and theirs and theirs.oid == step.post):
                return old
        return None

    def verdict(self, path: RepoPath) -> Verdict:
        """The first that holds; strict application has not been asked yet."""
        if path in self.owned:
            return self._conflicting(path)
        was, step = self.before[path], self.steps[path]
        place = path if path in self.new or was.change is not Change.MODIFIED else self._moved_to(path)
        now = self.diffs.get(place) if place else None
        if place is None or (now is None and was.change is Change.DELETED):
            return self._gone(path)
        if now is None:
            words = evidence.upstreamed(was, path, place)
            return Verdict(path=path, kind=Kind.UPSTREAMED, to=place, evidence=words)
        if was.change is Change.ADDED and now.text == was.text:
            return Verdict(path=path, kind=Kind.NEW_FILE, to=path, evidence=("the new tag has no such file",))
        if place in self.new and self.new[place].oid == step.pre and place == path and now.text == was.text:
            words = evidence.identical(step.pre)
            return Verdict(path=path, kind=Kind.IDENTICAL, to=path, evidence=words)
        return self._compared(path, place, was, now)

    def _compared(self, path: RepoPath, place: RepoPath, was: Diff, now: Diff) -> Verdict:
        kind, words = evidence.compared(was, now)
        if place in self.resolved:
            kind, words = Kind.MERGED, (*self.resolved[place].how, *words)
        if now.change is Change.ADDED:
            words = ("upstream's changes to a file that the patches move went along", *words)
        if place != path:
            words = (f"upstream moved it to {place} ({self.moved[path].similarity}% similar)", *words)
            kind = kind if kind in (Kind.MERGED, Kind.PARTLY_UPSTREAMED) else Kind.MOVED
        return Verdict(path=path, kind=kind, to=place, evidence=words, lost=_lost(was, now))

    def _moved_to(self, path: RepoPath) -> RepoPath | None:
        rename = self.moved.get(path)
        return None if rename is None else rename.new

    def _gone(self, path: RepoPath) -> Verdict:
        """A file without a place in the merged tree."""
        if self.before[path].change is Change.DELETED:
            words = ("upstream deleted the file too",)
            return Verdict(path=path, kind=Kind.UPSTREAMED, to=None, evidence=words)
        return Verdict(
            path=path, kind=Kind.DELETED, to=None, evidence=("upstream deleted the file",), places=(path,)
        )

    def _conflicting(self, path: RepoPath) -> Verdict:
        found = self.owned[path]
        kinds = tuple(dict.fromkeys(kind for conflict in found for kind in conflict.kinds))
        places = tuple(dict.fromkeys((path, *(conflict.path for conflict in found))))
        where = next((place for place in places if place in self.new), None)
        was = self.before[path]
        gone = was.change is Change.MODIFIED and where is None and path not in self.moved
        words = evidence.conflicting(found, kinds, path, self.regions)
        return Verdict(
            path=path, kind=Kind.DELETED if gone else Kind.CONFLICT, to=where, evidence=words,
            conflicts=kinds, places=places,
        )  # fmt: skip

    def unowned(self, verdicts: Mapping[RepoPath, Verdict]) -> dict[RepoPath, Verdict]:
        """Conflicts that no patch was found for; they must not get lost."""
        known = _places(verdicts)
        return {
            path: Verdict(
                path=path, kind=Kind.CONFLICT, to=path if path in self.new else None,
                evidence=tuple(conflict.words), conflicts=conflict.kinds, places=(path,),
            )
            for path, conflict in self.conflicts.items()
            if path not in known
        }  # fmt: skip

    def contested(self, verdicts: Mapping[RepoPath, Verdict]) -> dict[RepoPath, Verdict]:
        """Merged files that several patches claim, or none: git may see other moves of equal files."""
        claims: dict[RepoPath, list[RepoPath]] = {}
        for path, verdict in verdicts.items():
            if verdict.kind.is_carried and verdict.to is not None:
                claims.setdefault(verdict.to, []).append(path)
        found: dict[RepoPath, Verdict] = {}
        for place in self.diffs:
            owners = claims.get(place, [])
            for path in (owners or [place]) if len(owners) != 1 else ():
                plain = Verdict(path=path, kind=Kind.CONFLICT, to=place if place in self.new else None)
                known = found.get(path) or verdicts.get(path, plain)
                found[path] = replace(
                    known, kind=Kind.CONFLICT, places=(*known.places, place),
                    conflicts=tuple(dict.fromkeys((*known.conflicts, CONTESTED))),
                    evidence=(evidence.contested(place, owners), *known.evidence),
                )  # fmt: skip
        return found

    def applied(
        self, verdicts: Mapping[RepoPath, Verdict], beside: Executor
    ) -> Future[Mapping[RepoPath, Oid]]:
        """What strict application makes of the patches that it could see differently, by their new path."""
        asked = {path: v for path, v in verdicts.items() if self._is_unsure(v)}
        diffs = {path: at_path(self.before[path], v.to) for path, v in asked.items() if v.to is not None}
        likely = [diff for path, diff in diffs.items() if asked[path].kind in (Kind.OFFSET, Kind.MOVED)]
        read = self.blobs.of([self.new[diff.path].oid for diff in diffs.values()])
        others = [
            diff
            for diff in diffs.values()
            if diff not in likely and could_apply(diff, read[self.new[diff.path].oid])
        ]
        files = [self.new[diff.path] for diff in diffs.values()]
        return beside.submit(strict_results, self.git, files, others, likely=likely)

    def ambiguous(
        self, verdicts: Mapping[RepoPath, Verdict], results: Mapping[RepoPath, Oid]
    ) -> dict[RepoPath, Verdict]:
        """Verdicts that strict application contradicts: it succeeds, with another result."""
        merged = {path: diff.post for path, diff in self.diffs.items()}
        found = {}
        for path, verdict in verdicts.items():
            place = verdict.to
            if place is None or not self._is_unsure(verdict):
                continue
            strict = results.get(place)
            ours = merged.get(place) or self.new[place].oid
            if strict not in (None, ours):
                words = evidence.ambiguous(verdict.kind, ours, strict or NO_OBJECT)
                found[path] = replace(
                    verdict, kind=Kind.AMBIGUOUS, evidence=(*words, *verdict.evidence), strict=strict,
                    places=(place,),
                )  # fmt: skip
        return found

    def doubted(self, verdicts: Mapping[RepoPath, Verdict]) -> dict[RepoPath, Verdict]:
        """Clean merges that are wrong, as the text of the files says."""
        asked = {path: v.to for path, v in verdicts.items() if self._is_edited(v) and v.to}
        pairs = {path: (self.old[path].oid, self.new[to].oid) for path, to in asked.items()}
        blobs = self.blobs.of([oid for pair in pairs.values() for oid in pair])
        found = {}
        for path, (old, new) in pairs.items():
            place = asked[path] or path
            both = self.before[path], self.diffs.get(place)
            wrong = doubts(*both, old=blobs[old], new=blobs[new])
            if wrong:
                found[path] = replace(
                    verdicts[path], kind=Kind.CONFLICT, places=(place,),
                    evidence=(*(doubt.words for doubt in wrong), *verdicts[path].evidence),
                    conflicts=tuple(dict.fromkeys(doubt.kind for doubt in wrong)),
                )  # fmt: skip
        return found

    def _is_edited(self, verdict: Verdict) -> bool:
        """Whether upstream changed the surroundings of a patch that has any."""
        if verdict.kind is Kind.UPSTREAMED:
            return self._is_unsure(verdict)
        was = self.before.get(verdict.path)
        return verdict.kind in EDITED and was is not None and was.change is Change.MODIFIED

    def _is_unsure(self, verdict: Verdict) -> bool:
        was, place = self.before.get(verdict.path), verdict.to
        if was is None or place is None or verdict.kind not in UNSURE or not was.hunks:
            return False
        same = verdict.kind is Kind.UPSTREAMED and self.new[place].oid == was.post
        return was.change is Change.MODIFIED and not same

    def reset(self, made: Oid, places: Collection[RepoPath], *, settled: Collection[Resolution] = ()) -> Oid:
        """`made` with the files at `places` as the new tag has them, and with what was settled."""
        if not places and not settled:
            return made
        there = [self.new[path] for path in sorted(places) if path in self.new]
        there += [TreeEntry(mode=answer.mode, oid=answer.oid, path=answer.path) for answer in settled]
        records = "".join(f"0 {NO_OBJECT}\t{path}\0" for path in sorted(places))
        records += "".join(f"{entry.mode} {entry.oid}\t{entry.path}\0" for entry in there)
        with self.git.temporary_index(made) as index:
            stdin = records.encode("utf-8", "surrogateescape")
            self.git.out("update-index", "-z", "--add", "--replace", "--index-info", stdin=stdin, index=index)
            return Oid(self.git.line("write-tree", index=index))


def _lost(was: Diff, now: Diff) -> tuple[str, ...]:
    kept = {hunk.id for hunk in now.hunks}
    return tuple(hunk.id for hunk in was.hunks if hunk.id not in kept)
