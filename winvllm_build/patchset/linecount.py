"""How many lines a diff adds and removes, read by `unidiff`: a second pair of eyes on our own parser."""

from __future__ import annotations

from dataclasses import dataclass

from unidiff.patch import PatchSet

from winvllm_build.patchset.diff import Diff


@dataclass(frozen=True, slots=True, kw_only=True)
class LineCount:
    added: int = 0
    removed: int = 0

    def __add__(self, other: LineCount) -> LineCount:
        return LineCount(added=self.added + other.added, removed=self.removed + other.removed)


def count(diff: Diff) -> LineCount:
    """The lines of a text diff; a binary one and a change of mode have none."""
    if not diff.hunks:
        return LineCount()
    read = PatchSet(diff.text.decode("utf-8", "surrogateescape"))
    return LineCount(added=read.added, removed=read.removed)
