"""One Python file, parsed once."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(kw_only=True, eq=False)
class Module:
    """A file of the tree.

    Attributes:
        path: in the tree.
        name: as it is imported; the path itself where it is no module of a package.
        aliases: what a local name stands for on Windows, in dots.
        windows_text: the lines that Windows alone executes.
        hot: the lines that have a word of a rule.
        imports: each import, and whether it waits for a function to run.
    """

    path: str
    text: str
    tree: ast.Module
    name: str
    aliases: Mapping[str, str] = field(default_factory=dict)
    windows_text: tuple[str, ...] = ()
    hot: frozenset[int] = frozenset()
    imports: tuple[tuple[ast.Import | ast.ImportFrom, bool], ...] = ()

    @property
    def package(self) -> str:
        """What a relative import starts from."""
        return self.name if self.path.endswith("/__init__.py") else self.name.rpartition(".")[0]

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")

    def line(self, number: int) -> str:
        """The text of a line from 1, stripped."""
        return self.lines[number - 1].strip() if 0 < number <= len(self.lines) else ""

    def is_hot(self, node: ast.stmt) -> bool:
        """Whether a statement, of a compound one what stands before its block, has a word of a rule."""
        end = node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        if body and not isinstance(node, ast.ClassDef):
            end = max(node.lineno, body[0].lineno - 1)
        if isinstance(node, ast.Try):
            return not self.hot.isdisjoint(range(node.lineno, node.end_lineno or end))
        return not self.hot.isdisjoint(range(node.lineno, end + 1))

    def dotted(self, node: ast.AST | None) -> str:
        """`os.path.join` for a name or an attribute, imports resolved; empty for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.aliases.get(node.id, node.id), *reversed(parts)])


def parse(path: str, text: str) -> Module:
    """Read a file.

    Raises:
        SyntaxError: this Python cannot parse it.
        ValueError: it has null bytes.
        RecursionError: it is nested too deeply.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(text, path)
    return Module(path=path, text=text, tree=tree, name=module_name(path))


def module_name(path: str) -> str:
    """`vllm/a/__init__.py` is `vllm.a`; what is not below vllm keeps its path."""
    if not path.startswith("vllm/"):
        return path
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def bound(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    """The local names that an import makes, and what they stand for."""
    if isinstance(node, ast.Import):
        return {
            name.asname or name.name.partition(".")[0]: name.name
            if name.asname
            else name.name.partition(".")[0]
            for name in node.names
        }
    base = origin(node, package)
    return {name.asname or name.name: f"{base}.{name.name}" for name in node.names}


def origin(node: ast.ImportFrom, package: str) -> str:
    """The module that `from ... import` reads."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])
