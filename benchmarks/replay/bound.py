"""How fast a build could be at best: no schedule on these cores and this memory is faster.

Independent of the package's own schedule, so that one can be checked against the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.replay.recorded import Recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The parts of the bound, in recorded seconds.

    Attributes:
        work: all seconds over the cores.
        chain: the longest compile and the link that waits for it.
        packing: what the memory alone needs, each edge holding its peak from start to end.
    """

    work: float
    chain: float
    packing: float

    @property
    def seconds(self) -> float:
        return max(self.work, self.chain, self.packing)

    @property
    def what(self) -> str:
        """The part that decides."""
        parts = {"work": self.work, "longest": self.chain, "memory": self.packing}
        return max(parts, key=lambda name: parts[name])


def lower_bound(edges: Sequence[Recorded], *, cores: int, cap: int) -> Bound:
    """The bound for some cores and a cap on the memory of all running edges, in bytes; 0 for no cap."""
    links = {edge.target: edge.seconds for edge in edges if edge.links}
    return Bound(
        work=sum(edge.seconds for edge in edges) / cores,
        chain=max(edge.seconds + (0 if edge.links else links.get(edge.target, 0.0)) for edge in edges),
        packing=packing(edges, cap) if cap else 0.0,
    )


def packing(edges: Sequence[Recorded], cap: int) -> float:
    """Martello and Toth's bound for bins, with time in place of the number of bins.

    An edge above `cap - small` leaves no room for one of `small`; two above half of the cap run one by one;
    what is left over beside those is all that the others can use.
    """
    best = sum(edge.seconds * min(edge.memory, cap) for edge in edges) / cap
    for small in sorted({edge.memory for edge in edges if edge.memory * 2 <= cap} | {0}):
        alone = [edge for edge in edges if edge.memory > cap - small]
        beside = [edge for edge in edges if cap - small >= edge.memory > cap / 2]
        others = sum(e.seconds * e.memory for e in edges if cap / 2 >= e.memory >= small)
        room = sum(edge.seconds * (cap - edge.memory) for edge in beside)
        serial = sum(edge.seconds for edge in (*alone, *beside))
        best = max(best, serial + max(others - room, 0.0) / cap)
    return best
