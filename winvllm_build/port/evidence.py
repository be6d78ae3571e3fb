"""Why a verdict is what it is, in short sentences made of the diffs and the merge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.merge import BASE, OURS, THEIRS, Conflict
from winvllm_build.port import regions
from winvllm_build.port.verdict import Kind

SHORT: Final = 12


def identical(blob: Oid) -> tuple[str, ...]:
    return (f"upstream's file is the same blob {blob[:SHORT]}",)


def upstreamed(was: Diff, path: RepoPath, place: RepoPath) -> tuple[str, ...]:
    added, removed = _counts(was)
    words = f"the merge leaves no difference: all of +{added} -{removed} is upstream's"
    return (words,) if place == path else (words, f"upstream moved the file to {place}")


def compared(was: Diff, now: Diff) -> tuple[Kind, tuple[str, ...]]:
    """Which of the clean verdicts a carried diff of the same file is, and why."""
    kind, words = _lines_compared(was, now)
    if was.modes[0] == was.modes[1] or now.modes[0] != now.modes[1]:
        return kind, words
    partly = kind in (Kind.OFFSET, Kind.CONTEXT)
    return Kind.PARTLY_UPSTREAMED if partly else kind, ("the mode is upstream's already", *words)


def _lines_compared(was: Diff, now: Diff) -> tuple[Kind, tuple[str, ...]]:
    if now.change_id == was.change_id:
        if [hunk.lines for hunk in now.hunks] == [hunk.lines for hunk in was.hunks]:
            return Kind.OFFSET, (_offsets(was, now),)
        return Kind.CONTEXT, (_contexts(was, now),)
    before, after = list(_changed(was)), list(_changed(now))
    if len(after) < len(before) and _is_subsequence(after, before):
        gone = len(before) - len(after)
        return Kind.PARTLY_UPSTREAMED, (f"{gone} of {len(before)} changed lines are upstream's already",)
    return Kind.MERGED, (_merged(was, now),)


def conflicting(
    found: Sequence[Conflict], kinds: Sequence[str], path: RepoPath, counts: Mapping[RepoPath, int]
) -> tuple[str, ...]:
    """What is in conflict: names of it, regions of the file, sides that are missing.

    Args:
        found: the conflicts of one patch.
        kinds: git's names of them.
        path: the patch's file.
        counts: conflicting regions of each file (`regions_of`).
    """
    words = [", ".join(kinds) or "conflict"]
    for conflict in found:
        sides = conflict.stages
        deleted = any(kind.endswith("delete") for kind in conflict.kinds)
        if deleted and OURS not in sides and {BASE, THEIRS} <= set(sides):
            words.append("upstream deleted the file, the patch changes it")
        elif deleted and THEIRS not in sides and {BASE, OURS} <= set(sides):
            words.append("upstream changed the file, the patch deletes it")
        count = counts.get(conflict.path)
        if count:
            words.append(f"{count} conflicting {'region' if count == 1 else 'regions'}")
        if conflict.path != path:
            words.append(f"at {conflict.path} in the new tag")
    return tuple(words)


def ambiguous(kind: Kind, merged: Oid, strict: Oid) -> tuple[str, ...]:
    return (
        f"the merge ({kind.value}) gives the blob {merged[:SHORT]}, strict application {strict[:SHORT]}",
        "the same lines occur at several places: look which one is meant",
    )


def contested(place: RepoPath, owners: Sequence[RepoPath]) -> str:
    if not owners:
        return f"git merges a change into {place} that is no patch's"
    return f"git merges {' and '.join(owners)} into {place}"


def regions_of(marked: Mapping[RepoPath, bytes]) -> dict[RepoPath, int]:
    """How many conflicting regions each of these files has."""
    return {
        path: sum(regions.marker(line) == regions.OURS for line in content.split(b"\n"))
        for path, content in marked.items()
    }


def _offsets(was: Diff, now: Diff) -> str:
    moves = sorted({b.old_start - a.old_start for a, b in zip(was.hunks, now.hunks, strict=True)})
    if was.binary:
        return "the same binary change"
    if not moves:
        return "the same change of the mode alone"
    if len(moves) == 1:
        return f"the same {_hunks(len(was.hunks))}, moved by {moves[0]:+d} lines"
    return f"the same {_hunks(len(was.hunks))}, moved by {moves[0]:+d} to {moves[-1]:+d} lines"


def _contexts(was: Diff, now: Diff) -> str:
    kept = Counter(hunk.lines for hunk in was.hunks) & Counter(hunk.lines for hunk in now.hunks)
    others = len(now.hunks) - kept.total()
    which = "the hunk" if len(now.hunks) == 1 else f"{others} of {len(now.hunks)} hunks"
    return f"the same added and removed lines; other lines around {which}"


def _merged(was: Diff, now: Diff) -> str:
    known = Counter(hunk.id for hunk in was.hunks)
    others = [hunk for hunk in now.hunks if not known[hunk.id]]
    lines = ", ".join(str(hunk.new_start) for hunk in others)
    (plus, minus), (added, removed) = _counts(was), _counts(now)
    return f"changed lines differ (+{plus} -{minus} became +{added} -{removed}) in the hunks at {lines}"


def _counts(diff: Diff) -> tuple[int, int]:
    marks = Counter(line[:1] for line in _changed(diff))
    return marks[b"+"], marks[b"-"]


def _changed(diff: Diff) -> Iterator[bytes]:
    return (line for hunk in diff.hunks for line in hunk.lines if line[:1] in (b"+", b"-"))


def _is_subsequence(part: Iterable[bytes], whole: Iterable[bytes]) -> bool:
    rest = iter(whole)
    return all(line in rest for line in part)


def _hunks(count: int) -> str:
    return "hunk" if count == 1 else f"{count} hunks"
