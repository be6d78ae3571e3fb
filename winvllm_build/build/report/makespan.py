"""How long work takes that starts in order, as soon as a slot and memory are free."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is left of an edge: seconds and bytes."""

    seconds: float
    memory: int


def of(running: Sequence[Work], waiting: Sequence[Work], *, slots: int, budget: int) -> float:
    """Seconds until all of it is done; one edge always runs, whatever its memory."""
    ends = [(one.seconds, one.memory) for one in running]
    heapq.heapify(ends)
    used, now, last = sum(memory for _, memory in ends), 0.0, max((end for end, _ in ends), default=0.0)
    left = list(waiting)
    while left:
        while left and len(ends) < max(slots, 1):
            at = next((at for at, one in enumerate(left) if not ends or used + one.memory <= budget), None)
            if at is None:
                break
            one = left.pop(at)
            heapq.heappush(ends, (now + one.seconds, one.memory))
            used, last = used + one.memory, max(last, now + one.seconds)
        if left:
            now, freed = heapq.heappop(ends)
            used -= freed
    return last
