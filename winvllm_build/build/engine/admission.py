"""Which of the waiting edges start now: the most urgent first, as many as slots and memory carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An edge that waits.

    Attributes:
        output: its name.
        memory: predicted peak, bytes.
        urgency: the greater comes first.
        alone: it ran out of memory before and runs with nothing beside it.
    """

    output: str
    memory: int
    urgency: float
    alone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """An edge that runs: what was predicted, and what its processes have now, in bytes."""

    memory: int
    resident: int = 0
    alone: bool = False

    @property
    def counted(self) -> int:
        return max(self.memory, self.resident)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may run at once.

    Attributes:
        slots: edges.
        budget: bytes.
        lonely: so many edges waiting to run alone empty the machine for them; fewer wait until it is empty.
    """

    slots: int
    budget: int
    lonely: int = 4


def choose(waiting: Sequence[Wish], running: Sequence[Load], rules: Rules) -> tuple[Wish, ...]:
    """The wishes to start now, in order; one always starts where nothing runs.

    Smaller edges overtake one that does not fit; one that fits nowhere runs when nothing else does. Nothing
    starts beside an edge that runs alone.
    """
    if any(load.alone for load in running):
        return ()
    lonely = sorted((wish for wish in waiting if wish.alone), key=_first)
    others = sorted((wish for wish in waiting if not wish.alone), key=_first)
    if lonely and (len(lonely) >= rules.lonely or not others):
        return tuple(lonely[:1]) if not running else ()
    chosen: list[Wish] = []
    free = rules.budget - sum(load.counted for load in running)
    for wish in others:
        count = len(running) + len(chosen)
        if count >= rules.slots:
            break
        if wish.memory <= free or count == 0:
            chosen.append(wish)
            free -= wish.memory
    return tuple(chosen)


def _first(wish: Wish) -> tuple[float, str]:
    return -wish.urgency, wish.output
