"""A value with the reason it was chosen for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[Value_co]):
    """One value of a profile, and in a sentence why it is that one."""

    value: Value_co
    reason: str
