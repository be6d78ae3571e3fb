"""What a program said in a log: one message with its place, its code and how much it counts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Weight(IntEnum):
    """How near a message is to the cause; the lowest of a log is the one to read."""

    CAUSE = 0
    """Said by the program that met the problem."""
    WRAPPER = 1
    """Said by one that started it: that something failed, not what."""
    NOTE = 2
    """A warning, a remark, a count of errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A place in a source file, as the log spells it; `line` is 0 where none is said."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a program.

    Attributes:
        tool: who said it: `cl`, `link`, `edg` (the front end of nvcc), `nvcc`, `gcc`, `cmake`, `python`, ...
        code: what identifies it in every language: `C1060`, `LNK2019`, `E0433`, `0xC0000005`, an exception's
            name; empty where the program has none.
        text: what it says, on one line.
        weight: whether it names the cause.
        spot: where in the sources; None where it names no place.
        at: number of its line in the log, from 1.
        excerpt: the line of source that the compiler quotes below its message; empty where it quotes none.
        chain: the template instantiations and inclusions that led there, the nearest first.
    """

    tool: str
    code: str
    text: str
    weight: Weight
    spot: Spot | None = None
    at: int = 0
    excerpt: str = ""
    chain: tuple[Spot, ...] = ()

    def __str__(self) -> str:
        where = f"{self.spot}: " if self.spot is not None else ""
        code = f"{self.code}: " if self.code else ""
        return f"{where}{code}{self.text}"
