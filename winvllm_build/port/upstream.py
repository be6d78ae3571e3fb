"""What upstream did to the lines that a patch is about, between two of its trees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath, TreeEntry
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Diff, Hunk
from winvllm_build.port.matrix import Block, Line
from winvllm_build.port.renames import HINT, renames, tree_of
from winvllm_build.port.verdict import Verdict
from winvllm_build.review.text import shown

MOST: Final = 4
"""Hunks of upstream's that are shown."""
LONGEST: Final = 40
"""Lines of one of them."""
WORD: Final = re.compile(rb"[A-Za-z_]\w{2,}")
TELLING: Final = re.compile(rb"\w{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A patch on one of upstream's trees.

    Attributes:
        patch: the patch.
        verdict: what it is there.
        regions: the regions of its conflict.
        place: where its file was before, if upstream had moved it already.
    """

    patch: Diff
    verdict: Verdict
    regions: tuple[Block, ...]
    place: RepoPath | None = None


def upstreams_change(git: Git, old: Oid, new: Oid, met: Met) -> tuple[Block, ...]:
    """Upstream's hunks that meet the patch; what became of the file where there are none.

    Args:
        git: a scratch repository.
        old: upstream's tree before.
        new: upstream's tree after.
        met: the patch on `new`.
    """
    patch, verdict = met.patch, met.verdict
    named = (patch.path, verdict.to, *verdict.places, met.place)
    wanted = tuple(dict.fromkeys(path for path in named if path is not None))
    before, after = git.entries(old, wanted), git.entries(new, wanted)
    was, now = (_first(side, wanted) for side in (before, after))
    if was is None and now is not None:
        return (Block(title=f"upstream added {now.path}", lines=()),)
    if was is None or now is None:
        return (_gone(git, old, new, was),) if was is not None else ()
    made = (tree_of(git, [replace(entry, path=now.path)]) for entry in (was, now))
    hunks = [hunk for diff in tree.export(git, *made).values() for hunk in diff.hunks]
    moved = (
        [Block(title=f"upstream moved {was.path} to {now.path}", lines=())] if was.path != now.path else []
    )
    return (*moved, *(_block(hunk) for hunk in meeting(hunks, met)))


def meeting(hunks: Sequence[Hunk], met: Met) -> list[Hunk]:
    """Those of upstream's hunks that are in conflict, or touch what the patch changes or uses; else all."""
    stands_on = {line[1:] for line in _lines(met.patch, b" -") if TELLING.search(line)}
    uses = {word for line in _lines(met.patch, b"+") for word in WORD.findall(line)}
    disputed = {
        line.text
        for block in met.regions
        if block.upstream
        for line in block.lines
        if line.mark in ("+", "-")
    }
    ways = (
        [_disputed(hunk, disputed) for hunk in hunks],
        [_taken(hunk, b"-", stands_on) for hunk in hunks],
        [_lost_words(hunk, uses) for hunk in hunks],
        [_taken(hunk, b" ", stands_on) for hunk in hunks],
    )
    scores = next((scores for scores in ways if any(scores)), [1] * len(hunks))
    best = sorted(range(len(hunks)), key=lambda at: -scores[at])[:MOST]
    return [hunks[at] for at in sorted(best) if scores[at]]


def _disputed(hunk: Hunk, texts: set[str]) -> int:
    """Changed lines of the hunk that a conflict's region has."""
    return sum(
        line[:1] != b" " and TELLING.search(line) is not None and shown(line[1:]) in texts
        for line in hunk.lines
    )


def _taken(hunk: Hunk, mark: bytes, lines: set[bytes]) -> int:
    return sum(line[:1] == mark and line[1:] in lines for line in hunk.lines)


def _lost_words(hunk: Hunk, used: set[bytes]) -> int:
    """Names that the patch uses and the hunk takes away."""
    removed, added = (
        {word for line in hunk.lines if line[:1] == mark for word in WORD.findall(line)}
        for mark in (b"-", b"+")
    )
    return len((removed - added) & used)


def _lines(diff: Diff, marks: bytes) -> Iterator[bytes]:
    return (line for hunk in diff.hunks for line in hunk.lines if line[0] in marks)


def _first(side: dict[RepoPath, TreeEntry], wanted: Sequence[RepoPath]) -> TreeEntry | None:
    return next((side[path] for path in wanted if path in side), None)


def _gone(git: Git, old: Oid, new: Oid, was: TreeEntry) -> Block:
    """That the file was deleted, and what it became if the same change added something like it."""
    before, after = git.entries(old), git.entries(new)
    added = [entry for path, entry in after.items() if path not in before]
    rename = renames(git, [was], added, similarity=HINT).get(was.path)
    became = f"; {rename.new}, added with it, is {rename.similarity}% similar" if rename else ""
    return Block(title=f"upstream deleted {was.path}{became}", lines=())


def _block(hunk: Hunk) -> Block:
    lines = [Line(mark=chr(line[0]), text=shown(line[1:])) for line in hunk.lines[:LONGEST]]
    if len(hunk.lines) > LONGEST:
        lines.append(Line(mark="~", text=f"{len(hunk.lines) - LONGEST} more lines"))
    return Block(title=f"upstream's change at line {hunk.new_start}", lines=tuple(lines))
