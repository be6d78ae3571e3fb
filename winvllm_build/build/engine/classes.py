"""What an edge costs by its class, where nothing better is known."""

from __future__ import annotations

import re
from typing import Final, Protocol

from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.engine.record import EdgeRecord

MIB: Final = 1 << 20


class Costs(Protocol):
    """Predicts an edge and learns from what became of it; called from several threads."""

    def predict(self, edge: Edge) -> Cost:
        """What the edge is going to cost."""

    def learn(self, record: EdgeRecord) -> None:
        """What it did cost."""


CLASSES: Final = (
    (re.compile(r"scaled_mm_c2x"), 400.0, 5600 * MIB, 110 * MIB),
    (re.compile(r"hopper/|flash_fwd_.*sm90"), 105.0, 3000 * MIB, 22 * MIB),
    (re.compile(r"flash_(fwd|bwd)_"), 150.0, 4250 * MIB, 6 * MIB),
    (re.compile(r"cutlass|scaled_mm"), 150.0, 4000 * MIB, 40 * MIB),
    (re.compile(r"marlin"), 60.0, 600 * MIB, 3 * MIB),
)
"""Path, CPU seconds, peak and output bytes."""
ORDINARY: Final = {
    Language.CUDA: (30.0, 1100 * MIB, 4 * MIB),
    Language.CXX: (40.0, 1900 * MIB, 20 * MIB),
    Language.LINK: (5.0, 600 * MIB, 100 * MIB),
}


class ClassCosts:
    """The class of the file, and nothing learnt."""

    def predict(self, edge: Edge) -> Cost:
        found = ORDINARY[edge.language]
        if edge.language is Language.CUDA:
            known = [costs for pattern, *costs in CLASSES if pattern.search(edge.source)]
            found = (known[0][0], int(known[0][1]), int(known[0][2])) if known else found
        return Cost(seconds=found[0], memory=found[1], size=found[2], basis=Basis.CLASS)

    def learn(self, record: EdgeRecord) -> None:
        """Nothing."""
