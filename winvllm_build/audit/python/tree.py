"""The Python files of a tree, each parsed once."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind
from winvllm_build.audit.python.facts import Facts
from winvllm_build.audit.python.flow import Flow, Step
from winvllm_build.audit.python.hot import hot_lines
from winvllm_build.audit.python.imports import Edge, aliases, all_aliases, edges, imports, plain_edges
from winvllm_build.audit.python.module import Module, parse
from winvllm_build.audit.python.reach import is_build

LOADS_DLLS: Final = "os.add_dll_directory("
IMPORTS: Final = (ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A module that rules look at, and its statements."""

    module: Module
    flow: Flow
    steps: tuple[Step, ...]


@dataclass(kw_only=True)
class Tree:
    """What is kept of all files while they are read one by one.

    Attributes:
        hot: the modules with a line that some rule has to look at.
        kept: the same once all names of the tree are known.
        paths: of each module, by its name.
        edges: what each module names.
        loaders: modules that make folders of DLLs known.
    """

    facts: Facts = field(default_factory=Facts)
    hot: list[Module] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    edges: dict[str, tuple[Edge, ...]] = field(default_factory=dict)
    blind: list[Blind] = field(default_factory=list)
    loaders: list[str] = field(default_factory=list)
    lines: int = 0

    def for_windows(self) -> frozenset[str]:
        """Modules that are imported for Windows alone."""
        named: dict[str, bool] = {}
        for found in self.edges.values():
            for edge in found:
                if edge.target in self.paths:
                    named[edge.target] = named.get(edge.target, True) and edge.windows
        return frozenset(name for name, windows in named.items() if windows)

    @cached_property
    def imported(self) -> frozenset[str]:
        """Everything that some module imports, functions too."""
        return frozenset(edge.target for found in self.edges.values() for edge in found)


def read(files: Files) -> Tree:
    """Parse every file once; only those with something to look at are kept."""
    tree = Tree()
    paths = [path for path in files.names if path.endswith(".py") and _belongs(path)]
    files.fetch(paths)
    for path in paths:
        _take(path, files.text(path) or "", tree)
    tree.kept = [_linked(module, tree) for module in tree.hot]
    tree.hot.clear()
    return tree


def _belongs(path: str) -> bool:
    return "/" not in path or path.startswith("vllm/") or is_build(path)


def _take(path: str, text: str, tree: Tree) -> None:
    try:
        module = parse(path, text)
    except (SyntaxError, ValueError, RecursionError) as error:
        tree.blind.append(Blind(path=path, why=f"not parsed: {error}"))
        return
    tree.lines += text.count("\n")
    tree.paths[module.name] = path
    module.imports = imports(module)
    module.aliases = all_aliases(module)
    tree.facts.learn(module)
    if LOADS_DLLS in text:
        tree.loaders.append(module.name)
    module.hot = hot_lines(module)
    if module.hot:
        tree.hot.append(module)
    else:
        tree.edges[module.name] = tuple(plain_edges(module))


def _linked(module: Module, tree: Tree) -> Kept:
    """What the module imports, and what its names stand for on Windows."""
    flow = Flow(module, tree.facts)
    steps = tuple(flow.steps())
    imported = [step for step in steps if isinstance(step.node, IMPORTS)]
    module.windows_text = tuple(module.line(step.node.lineno) for step in steps if step.place.windows)
    tree.edges[module.name] = tuple(edges(module, imported))
    module.aliases = aliases(module, imported)
    return Kept(module=module, flow=flow, steps=steps)
