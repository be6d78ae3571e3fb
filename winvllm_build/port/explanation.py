"""Why a patch is open, as a value and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.git import RepoPath
from winvllm_build.port.history import Commit
from winvllm_build.port.locate import Location
from winvllm_build.port.matrix import Block, verdict_data
from winvllm_build.port.renames import Rename
from winvllm_build.port.verdict import Verdict

SCHEMA: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where a patch broke, or was carried again.

    Attributes:
        at: the release, or the commit's id.
        before: the release or commit before it; None where the line begins with it.
        verdict: what the patch is there.
        change: what upstream did to its file, as far as the patch is concerned.
        commit: what the commit says, where history is at hand.
        halved: not every commit in between was looked at.
        unseen: releases in between whose files cannot be had; it may have been one of those.
    """

    at: str
    before: str | None
    verdict: Verdict
    change: tuple[Block, ...]
    commit: Commit | None = None
    halved: bool = False
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a patch is open.

    Attributes:
        layer: its layer.
        path: its file.
        now: what it is on the tag that was asked for.
        turns: where it broke, was carried again, broke again; empty if it never broke.
        locations: where its code may be now.
        likeness: the file that its own is most like, where upstream has it no longer.
    """

    layer: str
    path: RepoPath
    now: Verdict
    turns: tuple[Turn, ...]
    locations: tuple[Location, ...] = ()
    likeness: Rename | None = None

    @property
    def is_monotone(self) -> bool:
        """Broken at most once, and never carried again."""
        return len(self.turns) <= 1

    @property
    def cause(self) -> Turn | None:
        """What it is open because of."""
        return self.turns[-1] if self.turns and self.now.kind.is_open else None


def data(found: Sequence[Explanation], *, old: str, new: str, url: str) -> dict[str, Any]:
    """What `--json` prints; its form only grows within one `schema`."""
    return {
        "schema": SCHEMA, "from": old, "to": new,
        "patches": [_data(one, url) for one in found],
    }  # fmt: skip


def _data(one: Explanation, url: str) -> dict[str, Any]:
    return {
        "layer": one.layer, "path": one.path, "monotone": one.is_monotone, **verdict_data(one.now),
        "turns": [_turn_data(turn, url) for turn in one.turns],
        "locations": [
            {"path": place.path, "found": place.found, "sought": place.sought} for place in one.locations
        ],
        "likeness": None if one.likeness is None else {
            "path": one.likeness.new, "similarity": one.likeness.similarity,
        },
    }  # fmt: skip


def _turn_data(turn: Turn, url: str) -> dict[str, Any]:
    said = turn.commit
    made: dict[str, Any] = {
        "at": turn.at, "before": turn.before, "unseen": list(turn.unseen),
        "open": turn.verdict.kind.is_open, "halved": turn.halved,
        **verdict_data(turn.verdict),
        "change": [
            {"title": block.title, "lines": [line.mark + line.text for line in block.lines]}
            for block in turn.change
        ],
    }  # fmt: skip
    if said is not None:
        made["commit"] = {
            "id": said.oid, "subject": said.subject, "author": said.author, "date": said.day,
            "pull_request": said.request,
            "link": f"{url.removesuffix('.git')}/pull/{said.request}" if said.request else None,
        }  # fmt: skip
    return made
