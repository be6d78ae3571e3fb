"""Work dealt out to shares of about equal length, the same on every machine that deals it."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from typing_extensions import Self

from winvllm_build.errors import UsageError

NOTATION: Final = re.compile(r"([1-9]\d{0,2})/([1-9]\d{0,2})")
MOST: Final = 256
"""Jobs that one matrix of GitHub Actions may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share `index` of `count`, from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`2/5`.

        Raises:
            UsageError: it is written otherwise, or there is no such share.
        """
        match = NOTATION.fullmatch(text.strip())
        if match is None or int(match[1]) > int(match[2]) or int(match[2]) > MOST:
            raise UsageError(
                f'"{text}" is no share; it is written like 2/5, at most {MOST}', fix="--shard 1/2"
            )
        return cls(index=int(match[1]), count=int(match[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One compile edge that some build of a matrix needs; others may need the same.

    Attributes:
        identity: equal for equal work.
        build: the number of the first build that has it, from 0; it is compiled there.
        output: the object in that build's folder.
        name: the source and the device codes, which do not depend on a machine.
        seconds: predicted without what one machine has measured.
        memory: predicted peak, bytes.
        size: bytes of the object.
    """

    identity: str
    build: int
    output: str
    name: str
    seconds: float
    memory: int
    size: int


def distinct(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """One of each, that of the first build which has it."""
    found: dict[str, Piece] = {}
    for piece in pieces:
        found.setdefault(piece.identity, piece)
    return tuple(found.values())


def dealt(pieces: Sequence[Piece], count: int) -> tuple[tuple[Piece, ...], ...]:
    """The distinct pieces in `count` shares: the longest first, each to the share that has least so far.

    Digests have no say in the order: where runners differ in a compiler's version, the shares stay the same.
    """
    longest_first = sorted(distinct(pieces), key=lambda p: (-round(p.seconds, 1), p.name, p.build, p.output))
    shares: list[list[Piece]] = [[] for _ in range(count)]
    loads = [(0.0, number) for number in range(count)]
    for piece in longest_first:
        load, number = heapq.heappop(loads)
        shares[number].append(piece)
        heapq.heappush(loads, (load + piece.seconds, number))
    return tuple(tuple(share) for share in shares)
