"""The Python of v0.33.0 as patched, loaded as on Windows with stand-ins for the packages it imports."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from tests.real_vllm.modules import Modules, Recorder, fake_module
from tests.tag_trees import PATCHES, published

TAG = "v0.33.0"
LOCK_SECONDS = 300.0
FILE_CALLS = "vllm/utils/win32_file.py"
FILE_CALLS_NAME = "vllm.utils.win32_file"


def unheard(event: str) -> None:
    assert event


def patched_modules(checkout: Path, cache: Path) -> Modules:
    """One tree for each state of the set; tests only read it."""
    assert (checkout / "patches").samefile(PATCHES)
    return Modules(root=published(TAG, cache, patched=True))


def load_on_windows(
    modules: Modules, path: str, patch: pytest.MonkeyPatch, **stubs: types.ModuleType
) -> types.ModuleType:
    """A whole module that believes to be on Windows; `vllm__logger` stands in for `vllm.logger`."""
    given = {"vllm__logger": fake_module("vllm.logger", init_logger=lambda _: Recorder()), **stubs}
    for key, stub in given.items():
        name = key.replace("__", ".")
        for parent in _parents(name):
            if parent not in sys.modules:
                patch.setitem(sys.modules, parent, fake_module(parent, __path__=[]))
        patch.setitem(sys.modules, name, stub)
    with patch.context() as while_loaded:
        while_loaded.setattr(sys, "platform", "win32")
        module = modules.load(path, f"windows_{Path(path).stem}")
    patch.setattr(module, "sys", types.SimpleNamespace(platform="win32"), raising=False)
    return module


def file_calls(modules: Modules, patch: pytest.MonkeyPatch) -> types.ModuleType:
    """`vllm.utils.win32_file`, importable under its name."""
    module = modules.load(FILE_CALLS, FILE_CALLS_NAME)
    utils = fake_module("vllm.utils", __path__=[], win32_file=module)
    patch.setitem(sys.modules, "vllm", fake_module("vllm", __path__=[], utils=utils))
    patch.setitem(sys.modules, "vllm.utils", utils)
    patch.setitem(sys.modules, FILE_CALLS_NAME, module)
    return module


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]
