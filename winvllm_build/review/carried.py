"""A change between two trees brought to the tag's tree: for branches, and patches made for another tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.merge import Merge, transplant
from winvllm_build.patchset.paths import mode_fault, path_fault
from winvllm_build.patchset.tree import Entry
from winvllm_build.review.bench import with_entries
from winvllm_build.review.import_verdict import FileVerdict, Verdict

CRLF = b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """A change on the tag's tree.

    Attributes:
        tree: the tag's, with every change that is clean.
        verdicts: one for each file.
        moved: where the change of a file went that upstream moved, by the new path.
    """

    tree: Oid
    verdicts: tuple[FileVerdict, ...]
    moved: Mapping[RepoPath, RepoPath]


def carried(git: Git, *, base: Oid, changed: Oid, onto: Oid) -> Carried:
    """The change from `base` to `changed` on the tree `onto`; conflicting files stay as they are there."""
    steps = tree.difference(git, base, changed)
    merge = Merge(tree=changed, conflicts={})
    if base != onto:
        merge = transplant(git, base=base, changed=changed, onto=onto)
    done = tree.difference(git, onto, merge.tree)
    faults = {path: _conflict(merge, path) for path in merge.conflicts}
    faults |= {path: fault for path, entry in done.items() if (fault := _fault(path, entry))}
    faults |= _crlf(git, {path: entry for path, entry in done.items() if path not in faults})
    kept = {path: entry for path, entry in done.items() if path not in faults}
    made = _only(git, onto, kept)
    met = {*done, *faults}
    strays = {path: entry for path, entry in steps.items() if path not in met and not _fault(path, entry)}
    moved = _moved(git, (base, strays), (onto, {p: e for p, e in kept.items() if p not in steps}))
    verdicts = [_verdict(path, steps, done, faults, moved) for path in sorted({*steps, *done, *faults})]
    return Carried(tree=made, verdicts=tuple(verdicts), moved=moved)


def _verdict(
    path: RepoPath, steps: Mapping[RepoPath, Entry], done: Mapping[RepoPath, Entry],
    faults: Mapping[RepoPath, str], moved: Mapping[RepoPath, RepoPath],
) -> FileVerdict:  # fmt: skip
    if path in faults:
        return FileVerdict(path=path, verdict=Verdict.FAILED, detail=faults[path])
    if path not in done:
        news = [new for new, old in moved.items() if old == path]
        detail = f"upstream moved it to {', '.join(news)}" if news else ""
        return FileVerdict(path=path, verdict=Verdict.THREE_WAY if news else Verdict.ALREADY, detail=detail)
    if path not in steps:
        source = moved.get(path, "a file that was changed")
        return FileVerdict(path=path, verdict=Verdict.THREE_WAY, detail=f"upstream moved {source} here")
    same = steps[path] == done[path]
    return FileVerdict(path=path, verdict=Verdict.EXACT if same else Verdict.THREE_WAY)


Side = tuple[Oid, Mapping[RepoPath, Entry]]
"""A tree, and what is done to some of its files."""


def _moved(git: Git, before: Side, after: Side) -> dict[RepoPath, RepoPath]:
    """Of each file of `after` the one of `before` with the same change, or the most of it."""
    if not before[1] or not after[1]:
        return {}
    old, new = (tree.export(git, base, _only(git, base, entries)) for base, entries in (before, after))
    found = {}
    for path, diff in new.items():
        mine = Counter(hunk.id for hunk in diff.hunks)
        shared = {name: (mine & Counter(h.id for h in other.hunks)).total() for name, other in old.items()}
        best = max(shared, key=lambda name: shared[name])
        if shared[best] or len(old) == len(new) == 1:
            found[path] = best
    return found


def _conflict(merge: Merge, path: RepoPath) -> str:
    conflict = merge.conflicts[path]
    kinds = ", ".join(dict.fromkeys(conflict.kinds)) or "contents"
    return f"conflict with the tag's tree: {kinds}"


def _fault(path: RepoPath, entry: Entry) -> str:
    """Why no patch may do this."""
    bad = [fault for mode in entry.modes if mode != "000000" and (fault := mode_fault(mode))]
    name = path_fault(path)
    if bad or name:
        return f"it {bad[0]}; only regular files can be patched" if bad else f"the path {name}"
    return ""


def _crlf(git: Git, done: Mapping[RepoPath, Entry]) -> dict[RepoPath, str]:
    """Files that would get CRLF line ends and had none."""
    blobs = tree.contents(git, [oid for entry in done.values() for oid in (entry.pre, entry.post)])
    return {
        path: "it brings CRLF line ends into a file that has none"
        for path, entry in done.items()
        if entry.pre in blobs and entry.post in blobs and b"\0" not in blobs[entry.post]
        and CRLF not in blobs[entry.pre] and CRLF in blobs[entry.post]
    }  # fmt: skip


def _only(git: Git, onto: Oid, kept: Mapping[RepoPath, Entry]) -> Oid:
    """`onto` with these steps alone."""
    return with_entries(git, onto, {path: (entry.modes[1], entry.post) for path, entry in kept.items()})
