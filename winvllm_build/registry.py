"""The one door to the Windows registry: read, never written; elsewhere it is empty."""

from __future__ import annotations

import sys
from enum import Enum
from typing import Final, Protocol

Value = str | int | bytes | tuple[str, ...]
HIVES: Final = {"HKLM": "HKEY_LOCAL_MACHINE", "HKCU": "HKEY_CURRENT_USER"}
FILE_SYSTEM: Final = r"HKLM\SYSTEM\CurrentControlSet\Control\FileSystem"


class KeyState(Enum):
    THERE = "there"
    MISSING = "missing"
    DENIED = "denied"
    """It may be there: this user may not look."""


class Registry(Protocol):
    r"""Keys are written as `reg query` takes them: `HKLM\SOFTWARE\...`; case does not count."""

    def state(self, key: str) -> KeyState: ...

    def values(self, key: str) -> dict[str, Value]:
        """The values of a key by lower-case name; none where it is missing or denied."""
        ...

    def subkeys(self, key: str) -> tuple[str, ...]: ...


class NoRegistry:
    """What a system without a registry has."""

    def state(self, key: str) -> KeyState:
        del key
        return KeyState.MISSING

    def values(self, key: str) -> dict[str, Value]:
        del key
        return {}

    def subkeys(self, key: str) -> tuple[str, ...]:
        del key
        return ()


if sys.platform == "win32":
    import winreg

    class WindowsRegistry:
        """This machine's, in the 64-bit view."""

        def state(self, key: str) -> KeyState:
            try:
                with _opened(key):
                    return KeyState.THERE
            except PermissionError:
                return KeyState.DENIED
            except OSError:
                return KeyState.MISSING

        def values(self, key: str) -> dict[str, Value]:
            found: dict[str, Value] = {}
            try:
                with _opened(key) as handle:
                    for index in range(winreg.QueryInfoKey(handle)[1]):
                        name, value, _ = winreg.EnumValue(handle, index)
                        found[name.lower()] = tuple(value) if isinstance(value, list) else value
            except OSError:
                return found
            return found

        def subkeys(self, key: str) -> tuple[str, ...]:
            try:
                with _opened(key) as handle:
                    return tuple(
                        winreg.EnumKey(handle, index) for index in range(winreg.QueryInfoKey(handle)[0])
                    )
            except OSError:
                return ()

    def _opened(key: str) -> winreg.HKEYType:
        hive, _, inside = key.partition("\\")
        root: int = getattr(winreg, HIVES[hive])
        return winreg.OpenKey(root, inside, 0, winreg.KEY_READ | winreg.KEY_WOW64_64KEY)


def machine_registry() -> Registry:
    if sys.platform == "win32":
        return WindowsRegistry()
    return NoRegistry()


def text(registry: Registry, key: str, name: str) -> str | None:
    """A value that is text, or None."""
    found = registry.values(key).get(name.lower())
    return found if isinstance(found, str) else None


def number(registry: Registry, key: str, name: str) -> int | None:
    """A value that is a number (REG_DWORD, REG_QWORD), or None."""
    found = registry.values(key).get(name.lower())
    return found if isinstance(found, int) else None
