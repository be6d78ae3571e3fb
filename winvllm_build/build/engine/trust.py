"""How much memory an edge is reckoned with: its prediction, as far as others came true in this run."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Final

from winvllm_build.build.engine.cost import Basis, Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """What is believed of peaks over predictions before any edge has ended, as logarithms.

    Attributes:
        offset: their mean.
        spread: their standard deviation.
    """

    offset: float = 0.0
    spread: float


BELIEFS: Final = {
    Basis.MEASURED: Belief(spread=0.01),
    Basis.SIMILAR: Belief(spread=0.14),
    Basis.RECORDED: Belief(spread=0.18),
    Basis.CLASS: Belief(offset=-0.2, spread=0.2),
}
"""By what a prediction stands on. Peaks of CUDA files that were compiled twice lie 0.3 % apart at the most; a
class's figure is its largest."""
WEIGHT: Final = 8.0
"""A belief counts as much as so many edges."""
SLOPE_WEIGHT: Final = 2.0
"""The same for the belief that large predictions are as right as small ones: edges, by the variance of their
logarithms."""
SHORT: Final = 1.2
"""An edge that was killed for memory had wanted at least this much more than it had."""
SHARE: Final = 4
"""An edge that takes less than this part of what each slot has of the budget decides nothing, and teaches
nothing: links and small files differ by megabytes, which is much of them."""


@dataclass(slots=True)
class _Line:
    """A line through logarithms of peak over prediction against that of the prediction, by sums."""

    belief: Belief
    count: int = 0
    x: float = 0.0
    r: float = 0.0
    xx: float = 0.0
    xr: float = 0.0
    rr: float = 0.0

    def add(self, x: float, r: float) -> None:
        self.count += 1
        self.x += x
        self.r += r
        self.xx += x * x
        self.xr += x * r
        self.rr += r * r

    def above(self, x: float) -> float:
        """What is to be expected at `x`, and one standard deviation more."""
        count, mean = self.count, self.x / max(self.count, 1)
        offset = (WEIGHT * self.belief.offset + self.r) / (WEIGHT + count)
        mixed = self.xr - mean * self.r
        squares = self.xx - mean * self.x
        slope = mixed / (squares + SLOPE_WEIGHT)
        rest = self.rr - 2 * offset * self.r + count * offset**2 - 2 * slope * mixed + slope**2 * squares
        variance = (WEIGHT * self.belief.spread**2 + max(rest, 0.0)) / (WEIGHT + count)
        return offset + slope * (x - mean) + math.sqrt(variance)


@dataclass(slots=True, kw_only=True)
class Trust:
    """Corrects predictions by a line for each basis, and by a standard deviation; threads may share it.

    Each class of files has a line of its own: its figure is the same for all of them.

    Attributes:
        fixed: bytes to reckon with for every edge; None for what its cost says.
        least: bytes below which an edge teaches nothing.
    """

    fixed: int | None = None
    least: int = 0
    _lines: dict[tuple[Basis, int], _Line] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, *, fixed: int | None, budget: int, slots: int) -> Trust:
        return cls(fixed=fixed, least=budget // (SHARE * slots))

    def need(self, cost: Cost) -> int:
        """Bytes to reckon with for an edge that is predicted to cost this."""
        if self.fixed is not None:
            return self.fixed
        if cost.memory <= 0:
            return 0
        with self._lock:
            return int(cost.memory * math.exp(self._line(cost).above(math.log(cost.memory))))

    def learn(self, cost: Cost, peak: int, *, killed: bool = False) -> None:
        """Take in what became of a prediction.

        Args:
            cost: what was predicted.
            peak: bytes that it had at the most.
            killed: it ended for want of memory.
        """
        wanted = peak * SHORT if killed else peak
        if cost.memory <= 0 or wanted <= 0 or max(cost.memory, wanted) < self.least:
            return
        with self._lock:
            self._line(cost).add(math.log(cost.memory), math.log(wanted / cost.memory))

    def _line(self, cost: Cost) -> _Line:
        """The one that a prediction goes by; the lock is held."""
        kind = cost.memory if cost.basis is Basis.CLASS else 0
        return self._lines.setdefault((cost.basis, kind), _Line(BELIEFS[cost.basis]))
