"""The Python of v0.33.0 as patched, loaded as on Windows with stand-ins for the packages it imports."""

from __future__ import annotations

import hashlib
import sys
import types
from pathlib import Path

import pytest

from tests.real_vllm.modules import Modules, Recorder, fake_module
from winvllm_build.choices import SourceKind
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.patchset import load
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace, locked

TAG = "v0.33.0"
LOCK_SECONDS = 300.0
FILE_CALLS = "vllm/utils/win32_file.py"
FILE_CALLS_NAME = "vllm.utils.win32_file"


def unheard(event: str) -> None:
    assert event


def patched_modules(checkout: Path, cache: Path) -> Modules:
    """One tree for each state of the set; tests only read it."""
    pins = read_pins(checkout / "patches" / TAG / "patchset.toml")
    source = acquire(
        pins.upstream,
        kind=SourceKind.SDIST,
        location=None,
        workspace=Workspace(root=cache / "workspace"),
        offline=False,
        on_event=unheard,
    )
    patch_set = load(checkout / "patches", TAG)
    state = hashlib.sha256((patch_set.folder / "patchset.lock").read_bytes()).hexdigest()[:12]
    folder = cache / "proofs" / f"{TAG}-{state}"
    with locked(folder.with_suffix(".lock"), str(folder), wait=LOCK_SECONDS):
        apply(patch_set, worktree(source, folder), on_event=unheard)
    return Modules(root=folder)


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
