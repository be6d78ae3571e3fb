"""What is wrong with a merge that git calls clean, as far as the text of the files can say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.patchset.diff import Diff
from winvllm_build.port import doubles, names, scopes

LOST_NAME: Final = "lost name"
"""The patch uses a name that upstream's file no longer has."""
OTHER_PLACE: Final = "other place"
"""The change is in another function or block than it was."""
DOUBLED: Final = "added twice"
"""Upstream has the patch's lines too, elsewhere in the file."""
REMAINING: Final = "moved lines"
"""What the patch removes is not there any more, but elsewhere in the file."""
UNFINISHED: Final = "not upstreamed"
"""git finds upstream to have a change, but not in the function that the patch makes it in."""
SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """`kind` as a conflict is named, `words` as a sentence."""

    kind: str
    words: str


def doubts(was: Diff, now: Diff | None, *, old: bytes, new: bytes) -> tuple[Doubt, ...]:
    """Why a human has to look at a clean merge; empty for most.

    Args:
        was: the patch.
        now: the patch as carried; None where nothing of it is left.
        old: upstream's file before.
        new: upstream's file now.
    """
    found = []
    if now is not None:
        for before, after in scopes.strayed(was, now, old=old, new=new):
            words = f"it changed {before} and would change {after} now, which is something else"
            found.append(Doubt(kind=OTHER_PLACE, words=words))
        lost = names.lost(was, now, old=old, new=new)
        if lost:
            words = f"it uses {_listed(lost)}, which upstream's file had and no longer has"
            found.append(Doubt(kind=LOST_NAME, words=words))
        doubled = doubles.doubled(now, old=old, new=new)
        if doubled:
            words = f"upstream has added the same lines elsewhere in the file: {_listed(doubled)}"
            found.append(Doubt(kind=DOUBLED, words=words))
    remaining = doubles.remaining(was, now, old=old, new=new)
    if remaining:
        words = f"upstream moved lines that the patch removes: {_listed(remaining)}"
        found.append(Doubt(kind=REMAINING, words=words))
    unfinished = scopes.unfinished(was, now, old=old, new=new)
    if unfinished:
        words = f"upstream has the change, but not in what the patch changes: {_listed(unfinished)}"
        found.append(Doubt(kind=UNFINISHED, words=words))
    return tuple(found)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
