"""Edges of real builds as they were recorded, and random variations of them."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
FULL: Final = "v0.14.1-sm86"
"""370 edges, flash-attention 2 and 3 included."""
SMALL: Final = "v0.33.0-sm86"
"""94 edges, without flash-attention; the seconds are those of one complete build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What one edge cost.

    Attributes:
        output: the file it makes, relative to the build folder.
        seconds: wall seconds on a core of its own.
        memory: peak resident bytes.
        size: bytes of the file.
    """

    output: str
    seconds: float
    memory: int
    size: int

    @property
    def links(self) -> bool:
        return not self.output.endswith(".o")

    @property
    def source(self) -> str:
        """The file it compiles, relative to the source tree; empty for a link."""
        return "" if self.links else self.output.partition(".dir/")[2].removesuffix(".o")

    @property
    def target(self) -> str:
        """The CMake target it belongs to."""
        if self.links:
            return Path(self.output).name.partition(".")[0]
        return self.output.partition(".dir/")[0].rpartition("CMakeFiles/")[2]

    @property
    def family(self) -> str:
        """What its cost depends on most, as a tool without history would see it."""
        name = Path(self.source).name
        if self.links:
            return "link"
        if name.endswith(".cpp"):
            return "host"
        if "_fa3_" in self.target:
            return "flash-attention 3"
        if "_fa2_" in self.target:
            return "flash-attention 2"
        if "scaled_mm_c" in name:
            return "cutlass"
        return "marlin" if "sm80_kernel" in name else "ordinary"


def load(name: str) -> tuple[Recorded, ...]:
    """The edges of one of the recorded builds."""
    with (HERE / f"{name}.tsv").open(encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        return tuple(
            Recorded(output=output, seconds=float(seconds), memory=int(memory), size=int(size))
            for output, seconds, memory, size, _ in csv.reader(lines, delimiter="\t")
        )


def changed(edges: Iterable[Recorded], change: Callable[[Recorded], Recorded]) -> tuple[Recorded, ...]:
    return tuple(change(edge) for edge in edges)


def varied(edges: Iterable[Recorded], seed: int, *, spread: float = 0.5) -> tuple[Recorded, ...]:
    """Another build of the same shape: times and memory of each edge and of each family multiplied at random.

    Args:
        edges: what to vary.
        seed: decides everything.
        spread: standard deviation of the logarithm of the factors.
    """
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    families: dict[str, tuple[float, float]] = {}

    def other(edge: Recorded) -> Recorded:
        family = families.setdefault(
            edge.family, (chance.lognormvariate(0, spread), chance.lognormvariate(0, spread / 2))
        )
        return replace(
            edge,
            seconds=edge.seconds * family[0] * chance.lognormvariate(0, spread),
            memory=int(edge.memory * family[1] * chance.lognormvariate(0, spread / 2)),
        )

    return changed(edges, other)


def thinned(edges: Iterable[Recorded], number: int) -> tuple[Recorded, ...]:
    """About `number` of the edges, evenly taken, with the links of the targets that are left."""
    every = tuple(edges)
    compiles = [edge for edge in every if not edge.links]
    step = max(len(compiles) // number, 1)
    kept = compiles[::step][:number]
    targets = {edge.target for edge in kept}
    return (*kept, *(edge for edge in every if edge.links and edge.target in targets))
