"""What a rule found, where, and whether Windows gets to see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """Whether what was found is there for MSVC, or for Python on Windows."""

    LIVE = "live"
    DEAD = "dead"
    """Conditions that do not hold there leave it out: ROCm, GCC, another operating system."""
    GUARDED = "guarded"
    """A condition on Windows itself (`_MSC_VER`, `sys.platform`, `hasattr`) leaves it out or meets it."""


class Reach(Enum):
    """Who gets to the place."""

    BUILD = "build"
    """It is compiled, or read while building or installing."""
    START = "start"
    """`vllm serve` or `LLM` imports it when it starts."""
    USE = "use"
    """They import it only inside a function."""
    CORNER = "corner"
    """They do not import it: a benchmark, an example, another platform, an optional connector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place.

    Attributes:
        hazard: its id in the catalogue.
        rule: which rule of it, in words with hyphens (`posix-type`).
        path: relative to the tree; `generated/...` for what a generator of the tree wrote.
        line: from 1.
        text: the line, stripped.
        detail: what exactly was found.
    """

    hazard: str
    rule: str
    path: str
    line: int
    text: str
    state: State
    reach: Reach
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """A file, or a part of it, that a parser could not follow: rules that need it saw nothing there.

    Attributes:
        path: the file.
        lines: how many lines; 0 for all.
        why: in words.
    """

    path: str
    why: str
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the rules of one language say; `files` is how many were looked at."""

    hits: tuple[Hit, ...] = ()
    blind: tuple[Blind, ...] = ()
    files: int = 0
    lines: int = 0

    def __add__(self, other: Found) -> Found:
        return Found(
            hits=self.hits + other.hits, blind=self.blind + other.blind, files=self.files + other.files,
            lines=self.lines + other.lines,
        )  # fmt: skip
