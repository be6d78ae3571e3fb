"""A registry from the text that `reg query /s` prints."""

from __future__ import annotations

import re
from collections.abc import Iterable

from winvllm_build.registry import KeyState, Value

LINE = re.compile(r"^    (?P<name>.+?)    (?P<type>REG_\w+)(?:    (?P<data>.*))?$")
LONG = {"HKEY_LOCAL_MACHINE": "HKLM", "HKEY_CURRENT_USER": "HKCU"}


class RecordedRegistry:
    """Keys and values of a dump; `denied` are keys that an ordinary user may not open."""

    def __init__(self, dump: str = "", *, denied: Iterable[str] = ()) -> None:
        self._keys: dict[str, dict[str, Value]] = {}
        self._denied = {key.lower() for key in denied}
        current = ""
        for line in dump.splitlines():
            if line.startswith("HKEY_"):
                hive, _, inside = line.strip().partition("\\")
                current = f"{LONG[hive]}\\{inside}"
                self._keys.setdefault(current, {})
            elif found := LINE.match(line):
                self._keys[current][found["name"].lower()] = _value(found["type"], found["data"] or "")

    def state(self, key: str) -> KeyState:
        if key.lower() in self._denied:
            return KeyState.DENIED
        known = [one for one in self._keys if one.lower() == key.lower() or _below(one, key)]
        return KeyState.THERE if known else KeyState.MISSING

    def values(self, key: str) -> dict[str, Value]:
        return next((values for one, values in self._keys.items() if one.lower() == key.lower()), {})

    def subkeys(self, key: str) -> tuple[str, ...]:
        found = [one[len(key) + 1 :].partition("\\")[0] for one in self._keys if _below(one, key)]
        return tuple(dict.fromkeys(found))


def _below(one: str, key: str) -> bool:
    return one.lower().startswith(f"{key.lower()}\\")


def _value(kind: str, data: str) -> Value:
    if kind in {"REG_DWORD", "REG_QWORD"}:
        return int(data, 16)
    if kind == "REG_MULTI_SZ":
        return tuple(data.split("\\0"))
    return data
