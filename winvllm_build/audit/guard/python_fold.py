"""Statements of Python as Linux executes them: dead branches removed, and what they leave behind told."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from winvllm_build.audit.guard.facts import facts
from winvllm_build.audit.guard.python_decide import Decide, constant, decided, is_folded
from winvllm_build.audit.guard.python_names import (
    Names,
    Scope,
    imported,
    scope_of_body,
    scope_of_comprehension,
    scope_of_function,
)

ENDS: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
IMPORT_FAILS: Final = ("ImportError", "ModuleNotFoundError")
Left: TypeAlias = "ast.stmt | list[ast.stmt]"


@dataclass(frozen=True, slots=True)
class _Before:
    """A function as it was: the names of its scope, those declared elsewhere, whether it is a generator."""

    bound: frozenset[str]
    foreign: frozenset[str]
    generator: bool


class Fold(Decide):
    """Folds statements; `notes` tells what a dead branch means for the rest of its function."""

    def __init__(self, names: Names, package: str) -> None:
        super().__init__(names, package)
        self._before: dict[int, _Before] = {}
        self._notes: dict[int, str] = {}

    @property
    def notes(self) -> list[str]:
        return [note for note in self._notes.values() if note]

    @contextmanager
    def _inside(self, scope: Scope) -> Iterator[None]:
        self.names.scopes.append(scope)
        try:
            yield
        finally:
            self.names.scopes.pop()

    # functions and classes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:  # noqa: N802 - ast calls it so
        return self._def(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.stmt:  # noqa: N802 - ast calls it so
        return self._def(node)

    def _def(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
        """Folded twice: the second time without what dead branches bind."""
        node.decorator_list = [self.expr(one) for one in node.decorator_list]
        node.args = self.visit(node.args)
        scope = scope_of_function(node, self.package)
        was = _Before(frozenset(scope.names), frozenset(scope.foreign), yields(node))
        before = self._before.setdefault(id(node), was)
        for _ in range(2):
            with self._inside(scope_of_function(node, self.package)):
                node.body = self.block(node.body) or [ast.Pass()]
        after = scope_of_function(node, self.package)
        unbound = sorted((before.bound - set(after.names) - after.foreign) & loaded(node))
        told = [f"{name} is a local name that only a dead branch binds" for name in unbound]
        elsewhere = sorted((before.foreign - after.foreign) & (set(after.names) | loaded(node)))
        told += [f"{name} is declared global or nonlocal in a dead branch" for name in elsewhere]
        if before.generator and not yields(node):
            told.append("a dead branch makes it a generator")
        self._notes[id(node)] = f"{node.name}: {'; '.join(told)}" if told else ""
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:  # noqa: N802 - ast calls it so
        node.args = self.visit(node.args)
        with self._inside(scope_of_function(node, self.package)):
            node.body = self.expr(node.body)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:  # noqa: N802 - ast calls it so
        node.decorator_list = [self.expr(one) for one in node.decorator_list]
        node.bases = [self.expr(one) for one in node.bases]
        with self._inside(scope_of_body("class", node.body, self.package)):
            node.body = self.block(node.body) or [ast.Pass()]
        return node

    def _comprehension(self, node: ast.expr) -> ast.expr:
        with self._inside(scope_of_comprehension(node)):
            return self.generic(node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:  # noqa: N802 - ast calls it so
        return self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.expr:  # noqa: N802 - ast calls it so
        return self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:  # noqa: N802 - ast calls it so
        return self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:  # noqa: N802 - ast calls it so
        return self._comprehension(node)

    # statements

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """The statements that are left; after one that ends the block nothing is."""
        found: list[ast.stmt] = []
        for node in body:
            made = self.visit(node)
            found += made if isinstance(made, list) else [made]
        kept = [node for node in found if not isinstance(node, ast.Pass)]
        end = next((at for at, node in enumerate(kept) if isinstance(node, ENDS)), len(kept))
        return kept[: end + 1]

    def visit_If(self, node: ast.If) -> Left:  # noqa: N802 - ast calls it so
        node.test = self.test(node.test)
        answer = decided(node.test)
        if answer is not None:
            return self.block(node.body if answer else node.orelse)
        node.body, node.orelse = self.block(node.body), self.block(node.orelse)
        if not node.body and not node.orelse and self.pure(node.test):
            return []
        node.body = node.body or [ast.Pass()]
        return node

    def visit_While(self, node: ast.While) -> Left:  # noqa: N802 - ast calls it so
        node.test = self.test(node.test)
        if decided(node.test) is False:
            return self.block(node.orelse)
        node.body, node.orelse = self.block(node.body) or [ast.Pass()], self.block(node.orelse)
        return node

    def visit_Assert(self, node: ast.Assert) -> Left:  # noqa: N802 - ast calls it so
        node.test = self.test(node.test)
        return [] if decided(node.test) is True else node

    def visit_Try(self, node: ast.Try) -> Left:  # noqa: N802 - ast calls it so
        answer = self._imports(node)
        if answer is True:
            return self.block([*node.body, *node.orelse, *node.finalbody])
        if answer is False:
            return self.block([*node.handlers[0].body, *node.finalbody])
        node.body = self.block(node.body)
        node.orelse, node.finalbody = self.block(node.orelse), self.block(node.finalbody)
        for handler in node.handlers:
            handler.type = None if handler.type is None else self.expr(handler.type)
            handler.body = self.block(handler.body) or [ast.Pass()]
        return node if node.body else [*node.orelse, *node.finalbody]

    def visit_For(self, node: ast.For) -> ast.stmt:  # noqa: N802 - ast calls it so
        node.iter = self.expr(node.iter)
        node.body, node.orelse = self.block(node.body) or [ast.Pass()], self.block(node.orelse)
        return node

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.stmt:  # noqa: N802 - ast calls it so
        node.iter = self.expr(node.iter)
        node.body, node.orelse = self.block(node.body) or [ast.Pass()], self.block(node.orelse)
        return node

    def visit_With(self, node: ast.With) -> ast.stmt:  # noqa: N802 - ast calls it so
        node.items = [self.visit(one) for one in node.items]
        node.body = self.block(node.body) or [ast.Pass()]
        return node

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.stmt:  # noqa: N802 - ast calls it so
        node.items = [self.visit(one) for one in node.items]
        node.body = self.block(node.body) or [ast.Pass()]
        return node

    def visit_Match(self, node: ast.Match) -> Left:  # noqa: N802 - ast calls it so
        node.subject = self.expr(node.subject)
        for case in node.cases:
            case.body = self.block(case.body) or [ast.Pass()]
        if not is_folded(node.subject):
            return node
        for case in node.cases:
            matches = None if case.guard else _matches(case.pattern, node.subject.value)
            if matches is None:
                return node
            if matches:
                return case.body
        return []

    def _imports(self, node: ast.Try) -> bool | None:
        """Whether a `try` of imports alone succeeds on Linux; None where that is not known."""
        handlers = [ast.unparse(one.type) if one.type else "" for one in node.handlers]
        if len(handlers) != 1 or handlers[0] not in IMPORT_FAILS or node.handlers[0].name:
            return None
        answers = [self._importable(one) for one in node.body]
        if answers and all(answers):
            return True
        return False if answers and answers[0] is False and not node.orelse else None

    def _importable(self, node: ast.stmt) -> bool | None:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            return None
        known = facts()
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        answers = [True if one in known.present else False if one in known.absent else None for one in names]
        if isinstance(node, ast.ImportFrom):
            has = [known.has.get(name) for _, name in imported(node, self.package)]
            answers = answers if None in has else has
        return False if False in answers else (None if None in answers else True)


def yields(node: ast.AST) -> bool:
    """A function that has a `yield` of its own is a generator, whether it gets there or not."""
    waiting = list(ast.iter_child_nodes(node))
    while waiting:
        part = waiting.pop()
        if isinstance(part, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(part)
    return False


def loaded(node: ast.AST) -> set[str]:
    """Every name that is read below a node."""
    return {p.id for p in ast.walk(node) if isinstance(p, ast.Name) and isinstance(p.ctx, ast.Load)}


def _matches(pattern: ast.pattern, value: object) -> bool | None:
    if isinstance(pattern, ast.MatchValue):
        found = constant(pattern.value)
        return None if found is None else found[0] == value
    if isinstance(pattern, ast.MatchOr):
        answers = [_matches(one, value) for one in pattern.patterns]
        return True if True in answers else (None if None in answers else False)
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None and pattern.name is None:
        return True
    return None
