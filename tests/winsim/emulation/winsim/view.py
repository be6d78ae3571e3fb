"""A module as Windows shows it: some names changed, some gone, all others those of the real module."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

Asked = set[tuple[str, str]]
"""Which module read which changed or missing name."""


class View(types.ModuleType):
    """Stands for `real` in the modules of vLLM; what they write goes to the real module."""

    def __init__(
        self,
        real: types.ModuleType,
        *,
        changed: Mapping[str, object],
        absent: AbstractSet[str],
        asked: Asked,
    ) -> None:
        parts = (real, dict(changed), frozenset(absent), asked)
        types.ModuleType.__setattr__(self, "_winsim", parts)

    def __getattribute__(self, name: str) -> Any:
        real, changed, absent, asked = types.ModuleType.__getattribute__(self, "_winsim")
        if name in changed:
            asked.add((_caller(), f"{real.__name__}.{name}"))
            return changed[name]
        if name in absent:
            asked.add((_caller(), f"{real.__name__}.{name}"))
            raise AttributeError(f"module '{real.__name__}' has no attribute '{name}'")
        if name in {"__class__", "__reduce_ex__", "__reduce__", "_winsim"}:
            return object.__getattribute__(self, name)
        return getattr(real, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._winsim[0], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._winsim[0], name)

    def __dir__(self) -> list[str]:
        real, changed, absent, _ = self._winsim
        return sorted({*dir(real), *changed} - absent)

    def __reduce_ex__(self, _: object) -> tuple[Callable[[str], types.ModuleType], tuple[str]]:
        return importlib.import_module, (self._winsim[0].__name__,)


def _caller() -> str:
    name = sys._getframe(2).f_globals.get("__name__", "")
    return str(name)
