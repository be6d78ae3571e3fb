"""Which of the waiting edges start now: the longest first, as many as slots and memory carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An edge that waits.

    Attributes:
        output: its name.
        memory: predicted peak, bytes.
        seconds: predicted wall time.
        alone: it ran out of memory before and runs with nothing beside it.
        passed: how many others started in its place because they were smaller.
    """

    output: str
    memory: int
    seconds: float
    alone: bool = False
    passed: int = 0


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
        patience: how many smaller edges may pass one that does not fit; then it waits for nobody any more.
        lonely: so many edges waiting to run alone empty the machine for them; fewer wait for its end.
    """

    slots: int
    budget: int
    patience: int
    lonely: int = 4


def choose(waiting: Sequence[Wish], running: Sequence[Load], rules: Rules) -> tuple[Wish, ...]:
    """The wishes to start now, in order; one always starts where nothing runs.

    An edge that fits nowhere runs when nothing else does. Nothing starts beside an edge that runs alone.
    """
    if any(load.alone for load in running):
        return ()
    lonely = sorted((wish for wish in waiting if wish.alone), key=_longest)
    others = sorted((wish for wish in waiting if not wish.alone), key=_longest)
    if len(lonely) >= rules.lonely or not others:
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
        elif wish.passed >= rules.patience:
            break
    return tuple(chosen)


def passed_over(waiting: Sequence[Wish], chosen: Sequence[Wish]) -> tuple[Wish, ...]:
    """Those that were before one of the chosen and did not start, since they are larger."""
    last = max((_longest(wish) for wish in chosen), default=None)
    if last is None:
        return ()
    return tuple(w for w in waiting if w not in chosen and not w.alone and _longest(w) < last)


def _longest(wish: Wish) -> tuple[float, str]:
    return -wish.seconds, wish.output
