"""vLLM's Python functions, run outside vLLM: cut out of their module, with stand-ins for what they use."""

from __future__ import annotations

import ast
import importlib.util
import sys
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

BOTH_PLATFORMS = pytest.mark.parametrize("platform", ["linux", "win32"])
FUTURE = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """The modules of one source tree. Nothing of vLLM is installed or imported as a package."""

    root: Path

    def path(self, relative: str) -> Path:
        return self.root / relative

    def text(self, relative: str) -> str:
        return self.path(relative).read_text(encoding="utf-8")

    def cut(self, relative: str, name: str, **names: object) -> Callable[..., Any]:
        """The function `name` (or `Class.method`) with `names` as its globals, its decorators removed."""
        body: Sequence[ast.stmt] = ast.parse(self.text(relative)).body
        node: ast.stmt | None = None
        for part in name.split("."):
            node = _find(body, part)
            body = getattr(node, "body", [])
        assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        node.decorator_list = []
        scope = execute([FUTURE, node], relative, names)
        made: Callable[..., Any] = scope[node.name]
        return made

    def load(self, relative: str, name: str) -> types.ModuleType:
        """A whole module, by its path and not in `sys.modules`."""
        spec = importlib.util.spec_from_file_location(name, self.path(relative))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def execute(body: list[ast.stmt], where: str, names: dict[str, object]) -> dict[str, Any]:
    """Run statements; what they defined, beside `names`."""
    scope: dict[str, Any] = {"__name__": "cut", **names}
    module = ast.fix_missing_locations(ast.Module(body, []))
    exec(compile(module, where, "exec"), scope)  # noqa: S102 - the code under test, with other globals
    return scope


def fake_sys(platform: str, **extra: object) -> types.SimpleNamespace:
    """`sys` of another platform."""
    return types.SimpleNamespace(platform=platform, version_info=sys.version_info, **extra)


def fake_module(name: str, **names: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(names)
    return module


class Recorder:
    """Takes any call of any attribute and keeps it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[object, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def record(*args: object, **_: object) -> None:
            self.calls.append((name, args))

        return record


def _find(body: Sequence[ast.stmt], name: str) -> ast.stmt:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for node in body:
        if isinstance(node, kinds) and node.name == name:
            return node
    raise LookupError(f"no {name}")
