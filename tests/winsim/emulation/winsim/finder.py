"""Gives the modules of vLLM, and no others, imports and `open` of their own."""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import sys
import types
from collections.abc import Mapping, Sequence
from typing import Any

from winsim.absent import POSIX_MODULES
from winsim.files import make_open
from winsim.view import Asked
from winsim.windows import Windows

PACKAGE = "vllm"
ASKED: Asked = set()
"""What vLLM's modules asked of Windows in this process."""

NOT_ON_WINDOWS = ("vllm.platforms.cpu", "vllm.utils.cpu_resource_utils", "vllm.v1.worker.cpu")
"""vLLM's CPU backend, which stands in for CUDA here: it counts Linux's cores and never runs on Windows."""


def is_emulated(name: str) -> bool:
    inside = name == PACKAGE or name.startswith(f"{PACKAGE}.")
    return inside and not name.startswith(NOT_ON_WINDOWS)


class Importer:
    """`__import__` and `importlib.import_module` of vLLM's modules."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.windows = Windows(asked=asked, import_module=self.import_module)

    def refuse(self, name: str, user: str) -> None:
        root = name.partition(".")[0]
        if root in POSIX_MODULES:
            self.asked.add((user, root))
            raise ModuleNotFoundError(f"No module named '{root}'", name=root)

    def import_module(self, name: str, package: str | None = None) -> types.ModuleType:
        self.refuse(name, "importlib.import_module")
        return self.windows.shown(name) or importlib.import_module(name, package)

    def __call__(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names that __import__ has
        locals: Mapping[str, Any] | None = None,  # noqa: A002 - the names that __import__ has
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        self.refuse(name, str((globals or {}).get("__name__")))
        made = self.windows.made(name)
        if made is not None:
            return made
        real = builtins.__import__(name, globals, locals, fromlist or (), 0)  # submodules too
        return self.windows.shown(name if fromlist else name.partition(".")[0]) or real


class Loader(importlib.machinery.SourceFileLoader):
    """Runs the module's unchanged code with other builtins."""

    names: Mapping[str, object]

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)["__builtins__"] = dict(self.names)
        super().exec_module(module)


class Finder:
    """First in `sys.meta_path`: leaves finding to the others and puts its loader in."""

    def __init__(self, names: Mapping[str, object]) -> None:
        self.names = names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not is_emulated(name):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            loader = Loader(name, spec.loader.path)
            loader.names = self.names
            spec.loader = loader
        return spec


def install() -> None:
    importer = Importer(ASKED)
    names = {**vars(builtins), "__import__": importer, "open": make_open(ASKED)}
    sys.meta_path.insert(0, Finder(names))
