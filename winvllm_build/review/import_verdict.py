"""What became of each file of an imported patch or branch."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace


class Verdict(enum.Enum):
    """How a change got onto the tag's file, the surest first."""

    EXACT = "exact"
    ALREADY = "already there"
    THREE_WAY = "3-way"
    OFFSET = "offset"
    FUZZY = "fuzzy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileVerdict:
    """One file.

    Attributes:
        path: in the tag's tree.
        verdict: how its change got there.
        detail: what is to be said about it: the reason of a failure, line ends that were converted, offsets.
        hunks: of a failure, each hunk that does not fit, in words.
        line: where it starts in the patch; 0 where there is no patch.
    """

    path: str
    verdict: Verdict
    detail: str = ""
    hunks: tuple[str, ...] = ()
    line: int = 0


def worst(found: Iterable[FileVerdict]) -> tuple[FileVerdict, ...]:
    """One verdict for each path: the least sure of its parts, with everything there is to say."""
    order = list(Verdict)
    merged: dict[str, FileVerdict] = {}
    for one in found:
        before = merged.get(one.path)
        if before is None:
            merged[one.path] = one
            continue
        lead = max(before, one, key=lambda verdict: order.index(verdict.verdict))
        details = dict.fromkeys(text for text in (before.detail, one.detail) if text)
        merged[one.path] = replace(lead, detail="; ".join(details), hunks=(*before.hunks, *one.hunks))
    return tuple(merged[path] for path in sorted(merged))
