"""Yes, no, or unknown."""

from __future__ import annotations

from collections.abc import Iterable

Answer = bool | None


def negated(one: Answer) -> Answer:
    return None if one is None else not one


def every(answers: Iterable[Answer]) -> Answer:
    """True of none at all."""
    found = list(answers)
    if False in found:
        return False
    return None if None in found else True


def some(answers: Iterable[Answer]) -> Answer:
    """False of none at all."""
    return negated(every(negated(one) for one in answers))
