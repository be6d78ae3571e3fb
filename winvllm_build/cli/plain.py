"""Frozen values as what JSON can hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any

from winvllm_build.errors import WinvllmError


def plain(value: Any) -> Any:  # noqa: ANN401 - any value of the package
    """Dataclasses as objects, enums as their values, errors as message and fix, the rest as text."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, WinvllmError):
        return {"fix": value.fix, "message": value.message}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(inner) for inner in value]
    return value if value is None or isinstance(value, (str, int, float)) else str(value)
