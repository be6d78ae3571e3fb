"""Names in Python: which scope binds them, and what is known of their value on Linux."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

STAR: Final = "*"
"""Bound by `from x import *`, which may hide any built-in."""
FUNCTION: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One place that gives a name a value.

    Attributes:
        line: where.
        sure: it is reached whenever the scope's body is, conditions and loops aside.
        dotted: what an import binds; empty for anything else.
        value: of an assignment.
        helper: a function whose call may have a known value.
    """

    line: int
    sure: bool = False
    dotted: str = ""
    value: ast.expr | None = None
    helper: ast.FunctionDef | None = None


@dataclass(slots=True)
class Scope:
    """The names that a module, class, function or comprehension binds."""

    kind: str
    names: dict[str, list[Binding]] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    """Declared `global` or `nonlocal`."""

    def bind(self, name: str, binding: Binding) -> None:
        self.names.setdefault(name, []).append(binding)


def scope_of_body(kind: str, body: Iterable[ast.stmt], package: str) -> Scope:
    """What statements bind; the bodies of nested functions and classes are left out."""
    scope = Scope(kind)
    _statements(scope, body, package, sure=True)
    return scope


def scope_of_function(node: FUNCTION, package: str) -> Scope:
    body: list[ast.stmt] = (
        [ast.copy_location(ast.Expr(node.body), node)] if isinstance(node, ast.Lambda) else node.body
    )
    scope = scope_of_body("function", body, package)
    given = node.args
    extra = [argument for argument in (given.vararg, given.kwarg) if argument is not None]
    for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, *extra):
        scope.bind(argument.arg, Binding(line=0))
    return scope


def scope_of_comprehension(node: ast.expr) -> Scope:
    scope = Scope("comprehension")
    for part in ast.walk(node):
        if isinstance(part, ast.comprehension):
            for name in _stored(part.target):
                scope.bind(name, Binding(line=0))
    return scope


def _statements(scope: Scope, body: Iterable[ast.stmt], package: str, *, sure: bool) -> None:
    for node in body:
        _statement(scope, node, package, sure=sure)


def _statement(scope: Scope, node: ast.stmt, package: str, *, sure: bool) -> None:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        helper = node if isinstance(node, ast.FunctionDef) else None
        scope.bind(node.name, Binding(line=node.lineno, sure=sure, helper=helper))
        return
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        scope.foreign.update(node.names)
        return
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        for name, dotted in imported(node, package):
            scope.bind(name, Binding(line=node.lineno, sure=sure, dotted=dotted))
        return
    target = _assigned(node)
    if target is not None:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        scope.bind(target.id, Binding(line=node.lineno, sure=sure, value=value))
    for name in _bound(node, skip=target):
        scope.bind(name, Binding(line=node.lineno))
    _inner(scope, node, package, sure=sure)


def _assigned(node: ast.stmt) -> ast.Name | None:
    """The only name that an assignment gives a value."""
    target: ast.expr | None = None
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target = node.target
    return target if isinstance(target, ast.Name) else None


def _inner(scope: Scope, node: ast.stmt, package: str, *, sure: bool) -> None:
    """The statements inside of one; those of `with` and `try` are reached with it."""
    straight = isinstance(node, (ast.With, ast.AsyncWith, ast.Try))
    for part in ("body", "orelse", "finalbody"):
        inner = getattr(node, part, None)
        if isinstance(inner, list):
            _statements(scope, inner, package, sure=sure and straight and part == "body")
    for handler in [*getattr(node, "handlers", ()), *getattr(node, "cases", ())]:
        if getattr(handler, "name", None):
            scope.bind(handler.name, Binding(line=node.lineno))
        _statements(scope, handler.body, package, sure=False)


def _bound(node: ast.stmt, *, skip: ast.expr | None) -> Iterator[str]:
    """The names that a statement itself stores, in its expressions and patterns."""
    waiting: list[ast.AST] = [node]
    while waiting:
        for child in ast.iter_child_nodes(waiting.pop()):
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case, ast.Lambda)):
                if isinstance(child, ast.match_case):
                    yield from _captured(child.pattern)
                continue
            if isinstance(child, COMPREHENSIONS):
                walruses = (part for part in ast.walk(child) if isinstance(part, ast.NamedExpr))
                yield from (walrus.target.id for walrus in walruses)
                continue
            if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load) and child is not skip:
                yield child.id
            waiting.append(child)


def _captured(pattern: ast.pattern) -> Iterator[str]:
    for part in ast.walk(pattern):
        name = part.rest if isinstance(part, ast.MatchMapping) else getattr(part, "name", None)
        if isinstance(name, str):
            yield name


def _stored(target: ast.expr) -> Iterator[str]:
    return (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """Each name that an import binds, with what it is."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield alias.asname, alias.name
            else:
                top = alias.name.partition(".")[0]
                yield top, top
        return
    parts = package.split(".") if package else []
    base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
    module = ".".join(word for word in (base, node.module or "") if word)
    for alias in node.names:
        yield alias.asname or alias.name, f"{module}.{alias.name}"


class Names:
    """The scopes around a place, the module's first.

    Args:
        module: the module's scope.
        foreign: values that other modules give to imported names, by dotted name.
    """

    def __init__(self, module: Scope, foreign: Mapping[str, object] | None = None) -> None:
        self.scopes = [module]
        self.foreign = foreign or {}

    def binding(self, name: str, line: int) -> Binding | None:
        """What `name` is at a line; None where that is not sure."""
        if any(name in scope.foreign for scope in self.scopes[1:]):
            return self._one(self.scopes[0], name, line, inside=False)
        for depth, scope in reversed(tuple(enumerate(self.scopes))):
            inside = depth == len(self.scopes) - 1
            if name in scope.names and (scope.kind != "class" or inside):
                return self._one(scope, name, line, inside=inside)
        if hasattr(builtins, name) and not any(STAR in scope.names for scope in self.scopes):
            return Binding(line=0, sure=True, dotted=f"builtins.{name}")
        return None

    def _one(self, scope: Scope, name: str, line: int, *, inside: bool) -> Binding | None:
        found = scope.names.get(name, [])
        sure = [one for one in found if one.sure and not (inside and one.line > line)]
        if not sure or (len(found) > 1 and {one.dotted for one in found} != {sure[0].dotted or None}):
            return None
        return sure[0]

    def is_argument(self, name: str) -> bool:
        """Whether `name` is an argument of the innermost scope that has it, and nothing else."""
        found = next((scope.names[name] for scope in reversed(self.scopes) if name in scope.names), [])
        return len(found) == 1 and found[0].line == 0

    def dotted(self, node: ast.expr) -> str:
        """`sys.platform` for whatever name the module has for it; empty if it is nothing imported."""
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr}" if base else ""
        if isinstance(node, ast.Name):
            found = self.binding(node.id, node.lineno)
            return found.dotted if found is not None else ""
        return ""
