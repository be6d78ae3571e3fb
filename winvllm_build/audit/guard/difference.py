"""What changed between two lists of token lines, in words."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

Line: TypeAlias = "tuple[str, ...]"


def differences(before: Sequence[Line], after: Sequence[Line]) -> list[str]:
    """What changed, as `tokens -> tokens`, with `N x` in front where it changed so N times; sorted.

    Line breaks are of no account.
    """
    if [t for line in before for t in line] == [t for line in after for t in line]:
        return []
    found: Counter[str] = Counter()
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            old = [token for line in before[i1:i2] for token in line]
            new = [token for line in after[j1:j2] for token in line]
            found.update(_changed(old, new))
    return sorted(f"{count} x {change}" if count > 1 else change for change, count in found.items())


def _changed(old: list[str], new: list[str]) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            yield f"{' '.join(old[i1:i2])} -> {' '.join(new[j1:j2])}"
