"""What one cell of a report is about: the regions of a conflict, or how a carried patch differs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath, TreeEntry
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Diff
from winvllm_build.port import regions
from winvllm_build.port.carry import Carried
from winvllm_build.port.matrix import Block, Line
from winvllm_build.port.regions import Region
from winvllm_build.port.renames import tree_of
from winvllm_build.port.verdict import Kind, Verdict
from winvllm_build.review.hunkpair import changes, pair
from winvllm_build.review.text import shown

MOST_LINES: Final = 60
"""Of one block; a conflict of hundreds of lines is for an editor."""
MOST_BLOCKS: Final = 12
CONTEXT: Final = 2
CHANGED: Final = (Kind.MOVED, Kind.MERGED, Kind.PARTLY_UPSTREAMED)
LEFT_OUT: Final = "~"

Blocks = tuple[Block, ...]


class Details:
    """Makes them, those of equal patches once, for as many new tags as one likes."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._known: dict[tuple[str, str], Blocks] = {}

    def of(self, carried: Carried, before: Mapping[RepoPath, Diff]) -> dict[RepoPath, Blocks]:
        """The details of each patch that has some.

        Args:
            carried: what became of a change.
            before: its patches.
        """
        marked = self._marked(carried)
        found = {
            path: self._one(verdict, carried, before, marked) for path, verdict in carried.verdicts.items()
        }
        return {path: blocks[:MOST_BLOCKS] for path, blocks in found.items() if blocks}

    def _one(
        self, verdict: Verdict, carried: Carried, before: Mapping[RepoPath, Diff],
        marked: Mapping[RepoPath, bytes],
    ) -> Blocks:  # fmt: skip
        if verdict.kind in CHANGED and verdict.to is not None:
            return self._changed(before[verdict.path], carried.diffs[verdict.to])
        if verdict.kind is Kind.AMBIGUOUS and verdict.strict is not None and verdict.to is not None:
            return self._both(carried, verdict.to, verdict.strict)
        return tuple(
            block for place in verdict.places if place in marked for block in _regions(marked[place])
        )

    def _changed(self, was: Diff, now: Diff) -> Blocks:
        key = (was.change_id, now.change_id)
        if key not in self._known:
            self._known[key] = tuple(_hunks(was, now))
        return self._known[key]

    def _both(self, carried: Carried, place: RepoPath, strict: Oid) -> Blocks:
        """From the merge's file to the one that strict application gives."""
        merged = self._git.entries(carried.merge.tree, (place,))[place]
        other = TreeEntry(mode=merged.mode, oid=strict, path=place)
        pair_of_trees = (tree_of(self._git, [entry]) for entry in (merged, other))
        found = tree.export(self._git, *pair_of_trees)
        return tuple(
            _block("the merge (-) and strict application (+)", [_line(line) for line in hunk.lines])
            for diff in found.values()
            for hunk in diff.hunks
        )

    def _marked(self, carried: Carried) -> dict[RepoPath, bytes]:
        """The files of open verdicts as the merge left them, markers included."""
        wanted = tuple({place for verdict in carried.open for place in verdict.places})
        there = self._git.entries(carried.merge.tree, wanted) if wanted else {}
        blobs = tree.contents(self._git, [entry.oid for entry in there.values()])
        return {path: blobs[entry.oid] for path, entry in there.items()}


def _regions(content: bytes) -> Iterator[Block]:
    """What each side does to the lines of a conflict."""
    try:
        parts = regions.read(content)
    except ValueError:
        return
    found = [part for part in parts if isinstance(part, Region)]
    for number, region in enumerate(found, start=1):
        which = f"region {number} of {len(found)}" if len(found) > 1 else "the region"
        yield _block(f"{which}: upstream's change", _difference(region.base, region.ours), upstream=True)
        yield _block(f"{which}: the patch's change", _difference(region.base, region.theirs))


def _difference(old: Sequence[bytes], new: Sequence[bytes]) -> list[Line]:
    before, after = ([shown(line.rstrip(b"\n")) for line in lines] for lines in (old, new))
    made: list[Line] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if number or group[0][1]:
            made.append(Line(mark=LEFT_OUT, text=""))
        for kind, start, end, begin, stop in group:
            if kind == "equal":
                made += [Line(mark=" ", text=text) for text in before[start:end]]
            else:
                made += [Line(mark="-", text=text) for text in before[start:end]]
                made += [Line(mark="+", text=text) for text in after[begin:stop]]
    return made


def _hunks(was: Diff, now: Diff) -> Iterator[Block]:
    """The added and removed lines that differ; the mark says in which patch a line is, the sign follows."""
    kept = {hunk.id for hunk in was.hunks} & {hunk.id for hunk in now.hunks}
    pairing = pair(
        [hunk for hunk in was.hunks if hunk.id not in kept],
        [hunk for hunk in now.hunks if hunk.id not in kept],
    )
    for changed in pairing.changed:
        title = f"changed hunk at line {changed.new.new_start} (- old patch, + carried patch)"
        yield _block(
            title,
            [Line(mark=mark if mark != "~" else LEFT_OUT, text=shown(line)) for mark, line in changed.lines],
        )
    for words, mark, hunks in (("gone", "-", pairing.gone), ("new", "+", pairing.added)):
        for hunk in hunks:
            title = f"{words} hunk at line {hunk.new_start}"
            yield _block(title, [Line(mark=mark, text=shown(line)) for line in changes(hunk)])


def _line(line: bytes) -> Line:
    return Line(mark=chr(line[0]), text=shown(line[1:]))


def _block(title: str, lines: Sequence[Line], *, upstream: bool = False) -> Block:
    if len(lines) > MOST_LINES:
        rest = Line(mark=LEFT_OUT, text=f"{len(lines) - MOST_LINES} more lines")
        lines = [*lines[:MOST_LINES], rest]
    return Block(title=title, lines=tuple(lines), upstream=upstream)
