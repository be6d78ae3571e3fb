"""What a module imports, and what a local name stands for on Windows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from winvllm_build.audit.hit import State
from winvllm_build.audit.python.flow import FUNCTIONS, SIMPLE, Step
from winvllm_build.audit.python.module import Module, bound, origin

IN_TREE: Final = re.compile(r"""["'](vllm(?:\.\w+)+)(?::\w+)?["']""")
BELOW: Final = re.compile(r"""["'](vllm(?:\.\w+)*)\.\{""")
WORD: Final = re.compile(r"""["'](\w{3,60})["']""")
AT_START: Final = {("vllm.entrypoints.cli.main", "main")}
"""Functions that run whenever `vllm` starts, with the imports in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """One module names another; `late`: not before a function runs; `windows`: for Windows alone."""

    target: str
    late: bool
    windows: bool = False


def imports(module: Module) -> tuple[tuple[ast.Import | ast.ImportFrom, bool], ...]:
    """Every import of the file but those for type checkers, and whether a function has to run first."""
    return tuple(
        (node, late) for node, late in _nested(module) if isinstance(node, ast.Import | ast.ImportFrom)
    )


def all_aliases(module: Module) -> Mapping[str, str]:
    """The names that the imports make, whatever stands around them."""
    found: dict[str, str] = {}
    for node, _ in module.imports:
        found.update(bound(node, module.package))
    return found


def _nested(module: Module) -> Iterator[tuple[ast.stmt, bool]]:
    """Each statement, in no order, and whether it is inside a function."""
    stack: list[tuple[ast.AST, bool]] = [(node, False) for node in module.tree.body]
    while stack:
        node, late = stack.pop()
        if isinstance(node, ast.stmt):
            yield node, late
        if isinstance(node, SIMPLE):
            continue
        if isinstance(node, FUNCTIONS):
            late = late or (module.name, node.name) not in AT_START
        elif isinstance(node, ast.If) and _name(node.test) == "TYPE_CHECKING":
            stack += [(child, late) for child in node.orelse]
            continue
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            stack += [(child, late) for child in getattr(node, block, ())]


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def plain_edges(module: Module) -> Iterator[Edge]:
    """The edges of a module that says nothing on platforms."""
    for node, late in module.imports:
        yield from (Edge(target=target, late=late) for target in _targets(node, module.package))
    if "vllm." in module.text:
        yield from (Edge(target=name, late=True) for name in _named(module.text))


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
                yield Edge(target=target, late=late, windows=step.place.windows)
    if "vllm." in module.text:
        yield from (Edge(target=name, late=True) for name in _named(module.text))


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


def _named(text: str) -> set[str]:
    """Modules named in strings: `"vllm.a.b:C"`, and `"b"` in a file that says `f"vllm.a.{name}"`."""
    found = {match[1] for match in IN_TREE.finditer(text)}
    packages = {match[1] for match in BELOW.finditer(text)}
    if packages:
        words = {match[1] for match in WORD.finditer(text)}
        found |= {f"{package}.{word}" for package in packages for word in words}
    return found
