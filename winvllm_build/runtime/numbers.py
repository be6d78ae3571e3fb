"""Numbers of a config.json under the names that different families give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class UnknownModelError(Exception):
    """Something cannot be computed from a config.json; the message says what. It never reaches a user."""


def first(config: Mapping[str, Any], *names: str) -> int | None:
    """The first of these that is a number above 0; None where there is none."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return int(value)
    return None


def number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is a number above 0.

    Raises:
        UnknownModelError: there is none.
    """
    found = first(config, *names)
    if found is None:
        raise UnknownModelError(f"config.json has no {names[0]}")
    return found
