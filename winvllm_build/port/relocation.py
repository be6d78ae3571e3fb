"""Where a human put the changes of a patch whose file is gone: told by lines that only this patch changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from winvllm_build.git import RepoPath
from winvllm_build.patchset.diff import Diff

SHORTEST: Final = 8
"""A changed line of fewer characters says nothing about where it is from."""
SHARE: Final = 4
"""Every fourth of those lines has to be there, at least."""


def home_of(
    path: RepoPath, before: Mapping[RepoPath, Diff], after: Iterable[tuple[RepoPath, Diff]]
) -> RepoPath | None:
    """The patch that changes most of the lines that of all old patches only the one of `path` changed.

    Args:
        path: a patch of the old set.
        before: the diffs of all old patches.
        after: the diffs it can have gone to.
    """
    everyone = Counter(line for diff in before.values() for line in _changed(diff))
    mine = {line for line in _changed(before[path]) if everyone[line] == 1}
    counted = {place: len(mine & _changed(diff)) for place, diff in after}
    best = max(counted, key=lambda place: counted[place], default=None)
    return best if best is not None and counted[best] * SHARE >= max(len(mine), 1) else None


def _changed(diff: Diff) -> set[bytes]:
    """The changed lines with their sign, blanks at both ends left out."""
    lines = (line for hunk in diff.hunks for line in hunk.lines if line[:1] in (b"+", b"-"))
    return {line[:1] + line[1:].strip() for line in lines if len(line[1:].strip()) >= SHORTEST}
