"""What a module imports, and what a local name stands for on Windows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from winvllm_build.audit.hit import State
from winvllm_build.audit.python.flow import FUNCTIONS, Step
from winvllm_build.audit.python.module import Module, bound, origin

IN_TREE: Final = re.compile(r"""["'](vllm(?:\.\w+)+)(?::\w+)?["']""")
AT_START: Final = {("vllm.entrypoints.cli.main", "main")}
"""Functions that run whenever `vllm` starts, with the imports in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One module names another; `late`: not before a function runs."""

    target: str
    late: bool


def all_aliases(module: Module) -> Mapping[str, str]:
    """Every import of the file, whatever stands around it."""
    found: dict[str, str] = {}
    for node in _statements(module.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.update(bound(node, module.package))
    return found


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """All statements, those of functions too, in no order; expressions are not entered."""
    stack: list[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.stmt):
            yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            stack += getattr(node, block, None) or () if not isinstance(node, ast.expr) else ()


def aliases(module: Module, steps: Iterable[Step]) -> dict[str, str]:
    """Imports that Windows executes win over those that it does not."""
    found: dict[str, str] = {}
    live: dict[str, str] = {}
    for step in steps:
        if isinstance(step.node, ast.Import | ast.ImportFrom):
            into = live if step.place.state is State.LIVE else found
            into.update(bound(step.node, module.package))
    return {**found, **live}


def edges(module: Module, steps: Iterable[Step]) -> Iterator[Edge]:
    """What the module reaches by importing, and by naming a module of the tree in a string."""
    for step in steps:
        if isinstance(step.node, ast.Import | ast.ImportFrom) and step.place.state is State.LIVE:
            late = _late(module, step)
            for target in _targets(step.node, module.package):
                yield Edge(target=target, late=late)
    for match in IN_TREE.finditer(module.text):
        yield Edge(target=match[1], late=True)


def _late(module: Module, step: Step) -> bool:
    functions = [node for node in step.place.inside if isinstance(node, FUNCTIONS)]
    return bool(functions) and (module.name, functions[0].name) not in AT_START


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
        return
    base = origin(node, package)
    yield base
    yield from (f"{base}.{name.name}" for name in node.names)
