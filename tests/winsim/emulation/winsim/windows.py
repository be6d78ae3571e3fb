"""The modules that differ on Windows, each made when it is first imported."""

from __future__ import annotations

import ctypes
import fcntl
import importlib
import importlib.util
import multiprocessing.connection
import os
import os.path
import platform
import types
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from winsim import files, loops, processes, sockets
from winsim.absent import ABSENT, POSIX_MODULES
from winsim.view import Asked, View

LOCKS = {0: fcntl.LOCK_UN, 1: fcntl.LOCK_EX, 2: fcntl.LOCK_EX | fcntl.LOCK_NB, 3: fcntl.LOCK_EX}


def locking(descriptor: int, mode: int, count: int) -> None:
    """msvcrt.locking: a region of bytes from where the file stands."""
    fcntl.lockf(descriptor, LOCKS[mode], count, 0, os.SEEK_CUR)


def msvcrt() -> types.ModuleType:
    module = types.ModuleType("msvcrt")
    vars(module).update(LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2, LK_RLCK=3, locking=locking)
    return module


class CDLL(ctypes.CDLL):
    """Loads no library of Linux."""

    def __init__(self, name: Any, *rest: Any, **named: Any) -> None:
        if name is None:
            raise TypeError("argument of type 'NoneType' is not iterable")
        if ".so" in Path(str(name)).suffixes:
            raise FileNotFoundError(f"Could not find module '{name}' (or one of its dependencies)")
        super().__init__(name, *rest, **named)


def no_library(name: str) -> None:
    """ctypes.util.find_library, of a library that only Linux has."""


def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
    if name.partition(".")[0] in POSIX_MODULES:
        return None
    return importlib.util.find_spec(name, package)


def add_dll_directory(path: str) -> os.PathLike[str]:
    if not os.path.isdir(path):
        raise FileNotFoundError(2, "The system cannot find the file specified", path)
    return Path(path)


def uname() -> platform.uname_result:
    return platform.uname_result("Windows", "winsim", "10", "10.0.19045", "AMD64")


CHANGED: dict[str, dict[str, object]] = {
    "asyncio": loops.CHANGED,
    "ctypes": {"CDLL": CDLL},
    "ctypes.util": {"find_library": no_library},
    "importlib.util": {"find_spec": find_spec},
    "multiprocessing": processes.MULTIPROCESSING,
    "multiprocessing.connection": {"PipeConnection": multiprocessing.connection.Connection},
    "os": {
        "O_BINARY": 0,
        "add_dll_directory": add_dll_directory,
        "kill": processes.kill,
        "name": "nt",
        "rename": files.rename,
    },
    "os.path": {"exists": files.exists, "isdir": files.isdir, "isfile": files.isfile},
    "platform": {
        "machine": lambda: "AMD64",
        "platform": lambda *_, **__: "Windows-10-10.0.19045-SP0",
        "system": lambda: "Windows",
        "uname": uname,
    },
    "signal": processes.SIGNAL,
    "socket": sockets.CHANGED,
    "subprocess": processes.SUBPROCESS,
    "sys": {"platform": "win32"},
}
LATE = frozenset({"importlib", "zmq", "zmq.asyncio"})
"""Made from modules that are slow to import, or from the importer."""
MADE = {"msvcrt": msvcrt}
"""Exist on Windows only."""


class Windows:
    """What vLLM's modules get for `import NAME`."""

    def __init__(self, *, asked: Asked, import_module: Callable[..., types.ModuleType]) -> None:
        self._asked = asked
        self._import_module = import_module
        self._shown: dict[str, types.ModuleType] = {}

    def made(self, name: str) -> types.ModuleType | None:
        if name in MADE and name not in self._shown:
            self._shown[name] = MADE[name]()
        return self._shown.get(name) if name in MADE else None

    def shown(self, name: str) -> types.ModuleType | None:
        """The module as on Windows, or nothing where it is the same."""
        if name in MADE:
            return self.made(name)
        if name not in self._shown and self._differs(name):
            self._shown[name] = View(
                importlib.import_module(name),
                changed=self._changed(name),
                absent=ABSENT.get(name, frozenset()),
                asked=self._asked,
            )
        return self._shown.get(name)

    def _differs(self, name: str) -> bool:
        return name in CHANGED or name in ABSENT or name in LATE

    def _changed(self, name: str) -> dict[str, object]:
        changed = dict(CHANGED.get(name, {}))
        if name == "importlib":
            changed["import_module"] = self._import_module
        elif name.startswith("zmq"):
            queues = importlib.import_module("winsim.queues")
            changed |= queues.ASYNC_CHANGED if name == "zmq.asyncio" else queues.CHANGED
        for child in self._children(name):
            shown = self.shown(child)
            if shown is not None:
                changed[child.rpartition(".")[2]] = shown
        return changed

    @staticmethod
    def _children(name: str) -> Iterable[str]:
        named = {*CHANGED, *LATE, *ABSENT}
        return sorted(other for other in named if other.rpartition(".")[0] == name)
