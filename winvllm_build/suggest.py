"""The nearest name that exists, for every message about one that does not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

NEAR: Final = 0.55
"""A little below difflib's own 0.6: names are short, so that one slip weighs much."""


def did_you_mean(word: str, known: Iterable[str], *, most: int = 1) -> str:
    """`; did you mean "x"?` for the nearest of `known`, or nothing when none is near.

    Args:
        word: what was written; upper and lower case are not told apart.
        known: the names there are.
        most: how many to offer: `; did you mean "x" or "y"?`.
    """
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=most, cutoff=NEAR)
    quoted = " or ".join(f'"{by_lower[name]}"' for name in near)
    return f"; did you mean {quoted}?" if near else ""
