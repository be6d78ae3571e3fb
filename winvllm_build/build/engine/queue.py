"""Edges that wait and edges that run, under one lock; who waits is told when it may start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from winvllm_build.build.engine.admission import Load, Rules, Wish, choose

LOOK: Final = 1.0
"""Seconds between looks whether a waiting launcher is still there."""
SETTLE: Final = 0.1
"""Seconds from the first edge to the first decision: what ninja starts at once arrives in any order."""


@dataclass(slots=True)
class _Runs:
    load: Load
    pid: int
    peak: int = 0


@dataclass(slots=True, kw_only=True)
class Queue:
    """Admission with memory of its own; the policy is `admission.choose`."""

    slots: int
    budget: int
    lonely: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    waiting: dict[int, Callable[[], Wish]] = field(default_factory=dict)
    running: dict[int, _Runs] = field(default_factory=dict)
    admitted: dict[int, Wish] = field(default_factory=dict)
    pids: dict[int, int] = field(default_factory=dict)
    closed: bool = False
    opens: float | None = None

    def admit(self, ticket: int, wish: Callable[[], Wish], pid: int, gone: Callable[[], bool]) -> Wish | None:
        """Wait until the edge may start.

        Args:
            ticket: names it.
            wish: what it needs, asked anew at every decision, since predictions are corrected meanwhile.
            pid: its launcher.
            gone: whether that has gone away.

        Returns:
            What it was admitted with; None if its launcher went away, or nothing starts any more.
        """
        with self.changed:
            if self.opens is None:
                self.opens = time.monotonic() + SETTLE
            self.waiting[ticket], self.pids[ticket] = wish, pid
            self._decide()
            while ticket in self.waiting:
                if self.closed or gone():
                    del self.waiting[ticket]
                    return None
                early = self.opens - time.monotonic()
                self.changed.wait(early if early > 0 else LOOK)
                if early > 0:
                    self._decide()
            return self.admitted.pop(ticket)

    def release(self, ticket: int) -> int:
        """The edge ended; the peak that was seen, in bytes."""
        with self.changed:
            ended = self.running.pop(ticket, None)
            self.pids.pop(ticket, None)
            self._decide()
        return ended.peak if ended is not None else 0

    def peak(self, ticket: int) -> int:
        """The most that a running edge was seen to have, in bytes."""
        with self.changed:
            return self.running[ticket].peak

    def roots(self) -> dict[int, int]:
        """The launcher of each running edge, by ticket."""
        with self.changed:
            return {ticket: run.pid for ticket, run in self.running.items()}

    def measured(self, resident: Mapping[int, int], budget: int) -> int:
        """Take in what each ticket has now, and the budget of this moment; how many wait."""
        with self.changed:
            for ticket, size in resident.items():
                run = self.running.get(ticket)
                if run is not None:
                    run.load = replace(run.load, resident=size)
                    run.peak = max(run.peak, size)
            self.budget = budget
            self._decide()
            return len(self.waiting)

    def close(self) -> None:
        """Start nothing any more; what runs goes on."""
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def _decide(self) -> None:
        """Move to `running` what may start now; the lock is held."""
        if self.closed or self.opens is None or time.monotonic() < self.opens:
            return
        rules = Rules(slots=self.slots, budget=self.budget, lonely=self.lonely)
        wishes = {ticket: wish() for ticket, wish in self.waiting.items()}
        chosen = choose(tuple(wishes.values()), [run.load for run in self.running.values()], rules)
        if not chosen:
            return
        tickets = {id(wish): ticket for ticket, wish in wishes.items()}
        for wish in chosen:
            ticket = tickets[id(wish)]
            del self.waiting[ticket]
            self.admitted[ticket] = wish
            self.running[ticket] = _Runs(Load(memory=wish.memory, alone=wish.alone), self.pids[ticket])
        self.changed.notify_all()
