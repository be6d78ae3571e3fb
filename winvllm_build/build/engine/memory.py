"""Memory as it is now: what running edges have, and what all of them may have together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import psutil

from winvllm_build.profile import limits, machine

RESERVE: Final = limits.RESERVE
"""Share of a machine's free memory that stays free: a desktop swaps before a compile is refused."""
CONTAINER_RESERVE: Final = 0.05
"""The same where a container sets the limit: nothing else lives there."""
LARGEST_RESERVE: Final = 4 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The memory that edges share.

    Attributes:
        reserve: bytes that stay free.
        most: bytes that edges never exceed together, whatever is free; None for no such limit.
    """

    reserve: int
    most: int | None = None

    def budget(self, available: int, resident: int) -> int:
        """Bytes that edges may have: what is free, and what they have already, less the reserve.

        What other programs take meanwhile is no longer free, so the budget shrinks by it.
        """
        found = max(available + resident - self.reserve, 0)
        return found if self.most is None else min(found, self.most)


def room(found: machine.Machine, most: int | None = None) -> Room:
    """The room on a machine on which nothing was started yet."""
    share = RESERVE if found.limited_by == "machine" else CONTAINER_RESERVE
    return Room(reserve=min(int(found.memory * share), LARGEST_RESERVE), most=most)


def available() -> int:
    """Bytes that are free or can be freed, within the container's limit."""
    return machine.read().memory


def resident(roots: Iterable[int]) -> Mapping[int, int]:
    """Resident bytes of everything that each of `roots` has started, the roots left out."""
    wanted = set(roots)
    if not wanted:
        return {}
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for process in psutil.process_iter(["ppid", "memory_info"]):
        with contextlib.suppress(psutil.Error, AttributeError, TypeError):
            parents[process.pid] = process.info["ppid"]
            sizes[process.pid] = process.info["memory_info"].rss
    return trees(wanted, parents, sizes)


def trees(roots: set[int], parents: Mapping[int, int], sizes: Mapping[int, int]) -> dict[int, int]:
    """The sum of `sizes` below each root; `parents` may hold loops, as reused ids make them."""
    found = dict.fromkeys(roots, 0)
    for pid, size in sizes.items():
        above, seen = parents.get(pid), {pid}
        while above is not None and above not in seen:
            if above in found and pid not in roots:
                found[above] += size
                break
            seen.add(above)
            above = parents.get(above)
    return found
