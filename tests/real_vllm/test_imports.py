"""What is imported where: POSIX modules never on Windows, the new Windows modules nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.real_vllm.modules import Modules

pytestmark = pytest.mark.network
POSIX_ONLY = {"fcntl", "uvloop", "termios", "resource", "pwd", "grp"}
ONLY_ON_WINDOWS = {
    "vllm.utils.uvloop_compat",
    "vllm.utils.win32_dll",
    "vllm.utils.win32_safetensors",
    "vllm.distributed.win32_process_group",
    "vllm.v1.engine.inproc_async_client",
}
WINDOWS = "sys.platform == 'win32'"


def unguarded(node: ast.AST) -> Iterator[str]:
    """Every import that another platform than Windows executes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and WINDOWS in ast.unparse(child.test).split(" and "):
            for other in child.orelse:
                yield from unguarded(other)
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
            yield child.module
        yield from unguarded(child)


def users_of(modules: Modules, names: set[str]) -> dict[str, ast.Module]:
    """The modules whose text has the last part of one of `names`."""
    found: dict[str, ast.Module] = {}
    for path in sorted(modules.path("vllm").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if any(name.rpartition(".")[2] in source for name in names):
            found[path.relative_to(modules.root).as_posix()] = ast.parse(source)
    return found


def test_windows_modules_are_imported_only_under_a_guard(modules: Modules) -> None:
    users = users_of(modules, ONLY_ON_WINDOWS)
    assert {path for path, body in users.items() if ONLY_ON_WINDOWS & set(unguarded(body))} == set()
    assert {"vllm/distributed/parallel_state.py", "vllm/env_override.py"} <= users.keys()


def test_no_posix_module_is_imported_on_windows_at_module_level(modules: Modules) -> None:
    found: list[str] = []
    for path, module in users_of(modules, POSIX_ONLY).items():
        for node in module.body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [f"{path}: {name}" for name in names if name.partition(".")[0] in POSIX_ONLY]
    assert found == []
