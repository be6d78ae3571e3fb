"""A change between two trees brought to the tag's tree: for branches, and patches made for another tag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.merge import Merge, transplant
from winvllm_build.patchset.paths import mode_fault, path_fault
from winvllm_build.patchset.tree import Entry
from winvllm_build.review.bench import with_entries
from winvllm_build.review.import_verdict import FileVerdict, Verdict

CRLF = b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The tag's tree with every change that is clean, and a verdict for each file of the change."""

    tree: Oid
    verdicts: tuple[FileVerdict, ...]


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
    verdicts = [_verdict(path, steps, done, faults) for path in sorted({*steps, *done, *faults})]
    kept = {path: entry for path, entry in done.items() if path not in faults}
    return Carried(tree=_only(git, onto, kept), verdicts=tuple(verdicts))


def _verdict(
    path: RepoPath, steps: Mapping[RepoPath, Entry], done: Mapping[RepoPath, Entry],
    faults: Mapping[RepoPath, str],
) -> FileVerdict:  # fmt: skip
    if path in faults:
        return FileVerdict(path=path, verdict=Verdict.FAILED, detail=faults[path])
    if path not in done:
        moved = [other for other in done if other not in steps]
        gone = steps[path].post != NO_OBJECT and moved
        detail = f"upstream moved it; the tag has {', '.join(moved)}" if gone else ""
        return FileVerdict(path=path, verdict=Verdict.THREE_WAY if gone else Verdict.ALREADY, detail=detail)
    if path not in steps:
        return FileVerdict(path=path, verdict=Verdict.THREE_WAY, detail="upstream moved a changed file here")
    same = steps[path] == done[path]
    return FileVerdict(path=path, verdict=Verdict.EXACT if same else Verdict.THREE_WAY)


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
