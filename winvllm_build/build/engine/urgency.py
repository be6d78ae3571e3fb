"""Which of two edges comes first."""

from __future__ import annotations

from typing import Final

GIB: Final = 1 << 30


def urgency(seconds: float, memory: int, weight: float) -> float:
    """The greater comes first: the longer, and where `weight` is not 0 the one that needs more memory too."""
    return seconds * (memory / GIB) ** weight if weight else seconds
