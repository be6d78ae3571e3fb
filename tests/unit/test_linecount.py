"""Counted by a parser of its own, the lines of every shipped patch are those our parser sees."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.linecount import LineCount, count
from winvllm_build.patchset.patchset import load, tags


def seen(diff: Diff) -> LineCount:
    lines = [line[:1] for hunk in diff.hunks for line in hunk.lines]
    return LineCount(added=lines.count(b"+"), removed=lines.count(b"-"))


def test_both_parsers_agree_on_every_shipped_patch(checkout: Path) -> None:
    patches = [p for tag in tags(checkout / "patches") for p in load(checkout / "patches", tag).patches]
    assert len(patches) > 50
    assert [patch.path for patch in patches if count(patch.content.diff) != seen(patch.content.diff)] == []
