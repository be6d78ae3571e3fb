"""How many shares a group of builds needs so that every job ends within a time limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.build.matrix.shares import MOST, Piece, dealt
from winvllm_build.build.plan.schedule import Job, simulate
from winvllm_build.errors import UsageError
from winvllm_build.profile.limits import RESERVE

GIB: Final = 1 << 30
PREPARATION: Final = 600.0
"""Seconds of a job before its first compile: checkout, packages, source, toolkit. Generous."""
PER_BUILD: Final = 60.0
"""Seconds for a tree and a configure run, of each list of architectures."""
MARGIN: Final = 0.85
"""Share of a limit that is planned with; predictions and hosted machines both vary."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """The machines of a matrix.

    Attributes:
        label: what the jobs ask for.
        cores: edges at a time.
        memory: GiB.
        factor: seconds there for one second of the machine that the costs are from.
        limit: seconds after which a job is ended.
    """

    label: str
    cores: int
    memory: float
    factor: float
    limit: float

    @property
    def budget(self) -> int:
        """Bytes that edges may use together."""
        return int(self.memory * GIB * (1 - RESERVE))


def seconds(pieces: Sequence[Piece], runner: Runner, *, builds: int) -> float:
    """Predicted seconds of a job that compiles `pieces`, its preparation included."""
    jobs = [Job(name=p.identity, seconds=p.seconds * runner.factor, memory=p.memory) for p in pieces]
    compiling = simulate(jobs, slots=runner.cores, budget=runner.budget).makespan
    return PREPARATION + PER_BUILD * builds + compiling


def shares(pieces: Sequence[Piece], runner: Runner, *, builds: int) -> tuple[tuple[Piece, ...], ...]:
    """The fewest shares of which each fits the limit.

    Raises:
        UsageError: no number of shares does: one piece alone, or the preparation, takes longer.
    """
    room = runner.limit * MARGIN
    alone = PREPARATION + PER_BUILD * builds
    longest = max(pieces, key=lambda p: p.seconds, default=None)
    if longest is not None and alone + longest.seconds * runner.factor > room:
        raise UsageError(
            f"{longest.name} alone is reckoned to take {longest.seconds * runner.factor / 60:.0f} min, with"
            f" {alone / 60:.0f} min of preparation; of the limit {room / 60:.0f} min can be planned with",
            fix="raise --limit, or take runners with a smaller --factor",
        )
    for count in range(_least(pieces, runner, room - alone), MOST + 1):
        found = dealt(pieces, count)
        if max(seconds(share, runner, builds=builds) for share in found) <= room:
            return found
    raise UsageError(f"more than {MOST} jobs would be needed", fix="raise --limit or --runner-cores")


def _least(pieces: Sequence[Piece], runner: Runner, room: float) -> int:
    """A number of shares that fewer cannot undercut: all work on all cores."""
    work = sum(piece.seconds for piece in pieces) * runner.factor / runner.cores
    return max(int(work / max(room, 1.0)), 1)
