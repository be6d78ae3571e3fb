"""Numbers of a config.json under the names that different families give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final


class UnknownModelError(Exception):
    """Something cannot be computed from a config.json; the message says what. It never reaches a user."""


LARGEST: Final = 1 << 40
"""No number of a model comes near it."""


def first(config: Mapping[str, Any], *names: str) -> int | None:
    """The first of these that is a number from 1 up; None where there is none."""
    for name in names:
        value = config.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < LARGEST:
            return int(value)
    return None


def number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is a number from 1 up.

    Raises:
        UnknownModelError: there is none.
    """
    found = first(config, *names)
    if found is None:
        raise UnknownModelError(f"config.json has no {names[0]}")
    return found


def kind(config: Mapping[str, Any]) -> str:
    """The model's type, empty where config.json does not tell it."""
    return str(config.get("model_type") or "")
