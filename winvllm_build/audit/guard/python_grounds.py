"""Differences between two versions of Python code that mean nothing on Linux, each recognised and checked."""

from __future__ import annotations

import ast
import builtins
import copy
import importlib
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from winvllm_build.audit.guard.facts import facts
from winvllm_build.audit.guard.judgement import Confirmed, Ground
from winvllm_build.audit.guard.python_fold import IMPORT_FAILS, loaded
from winvllm_build.audit.guard.python_module import Module, Unit
from winvllm_build.audit.guard.python_names import STAR, Names, imported, scope_of_function
from winvllm_build.audit.guard.python_stored import stored_as_int64

LAST_LINE: Final = sys.maxsize


@dataclass(slots=True)
class Side:
    """One version of a unit: its folded statements, copied, and the names around them."""

    module: Module
    unit: Unit
    body: list[ast.stmt]
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = self.module.names(self.unit.classes)
        node = self.unit.body[0] if self.unit.body else None
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.names.scopes.append(scope_of_function(node, self.module.package))

    @property
    def is_function(self) -> bool:
        return len(self.names.scopes) > 1 and self.names.scopes[-1].kind == "function"

    def copied(self) -> Side:
        return Side(self.module, self.unit, copy.deepcopy(self.body))

    def text(self) -> str:
        return "\n".join(ast.unparse(ast.fix_missing_locations(node)) for node in self.body)


def split_imports(body: Sequence[ast.stmt]) -> list[ast.stmt]:
    """`import a, b` as `import a` and `import b`, at every depth."""
    for node in body:
        for part in ast.walk(node):
            for name in ("body", "orelse", "finalbody"):
                inner = getattr(part, name, None)
                if isinstance(inner, list):
                    setattr(part, name, [one for stmt in inner for one in _split(stmt)])
    return [one for stmt in body for one in _split(stmt)]


def _split(node: ast.stmt) -> list[ast.stmt]:
    if isinstance(node, ast.Import) and len(node.names) > 1:
        return [ast.copy_location(ast.Import([alias]), node) for alias in node.names]
    if isinstance(node, ast.ImportFrom) and len(node.names) > 1:
        return [
            ast.copy_location(ast.ImportFrom(node.module, [alias], node.level), node) for alias in node.names
        ]
    return [node]


def with_equal_meaning(old: Side, new: Side) -> tuple[Side, Side, list[Confirmed]]:
    """Both with every accepted difference taken out, and the grounds that this needed."""
    grounds: list[Confirmed] = []
    for side in (old, new):
        side.body = split_imports(side.body)
    grounds += _without_added_imports(old, new)
    grounds += _without_attempts(old, new)
    before = (old.text(), new.text())
    for rewrite in (_Constants, _Defaults, _Integers):
        made = [rewrite(side) for side in (old, new)]
        for side, one in zip((old, new), made, strict=True):
            side.body = [one.visit(node) for node in side.body]
        after = (old.text(), new.text())
        if after != before and made[0].found != made[1].found:
            told = {one.words: one for part in made for one in part.found}
            counts = [Counter(one.words for one in part.found) for part in made]
            grounds += [told[words] for words in told if counts[0][words] != counts[1][words]]
        before = after
    return old, new, grounds


def _import_nodes(body: Iterable[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in body:
        for part in ast.walk(node):
            if isinstance(part, (ast.Import, ast.ImportFrom)):
                yield part


class _Without(ast.NodeTransformer):
    """Takes statements out by their id."""

    def __init__(self, nodes: Iterable[ast.stmt]) -> None:
        self._out = {id(node) for node in nodes}

    def visit(self, node: ast.AST) -> ast.AST | None:
        if id(node) in self._out:
            return None
        made: ast.AST = self.generic_visit(node)
        if hasattr(made, "body") and made.body == []:
            made.body = [ast.Pass()]
        return made


def _without_added_imports(old: Side, new: Side) -> list[Confirmed]:
    had = Counter(ast.unparse(node) for node in _import_nodes(old.body))
    added: list[ast.stmt] = []
    for node in _import_nodes(new.body):
        text = ast.unparse(node)
        if had[text]:
            had[text] -= 1
        elif _is_quiet(node, old, new):
            added.append(node)
    if not added:
        return []
    out = _Without(added)
    new.body = [made for made in (out.visit(node) for node in new.body) if isinstance(made, ast.stmt)]
    return [Confirmed(ground=Ground.IMPORT, detail=ast.unparse(node)) for node in added]


def _is_quiet(node: ast.Import | ast.ImportFrom, old: Side, new: Side) -> bool:
    """Whether an added import does nothing but bind a name that meant nothing before."""
    named = imported(node, new.module.package)
    return _defines_only(node) and all(_is_free(name, dotted, old) for name, dotted in named)


def _defines_only(node: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.Import):
        return node.names[0].name in facts().quiet
    if node.level or node.module not in facts().quiet or node.names[0].name == STAR:
        return False
    return hasattr(importlib.import_module(node.module), node.names[0].name)


def _is_free(name: str, dotted: str, old: Side) -> bool:
    """Whether a name was nothing before, or the same import; in a function, nothing may read it at all."""
    if old.module.has_submodule(name):
        return False
    if old.is_function and any(name in loaded(node) for node in old.body):
        return False
    was = old.names.binding(name, LAST_LINE)
    if was is not None:
        return was.dotted == dotted
    return not hasattr(builtins, name) and not any(name in scope.names for scope in old.names.scopes)


class _Attempts(ast.NodeTransformer):
    """`try: import x` / `except ImportError: ...` as `import x`, where `had` has that import bare."""

    def __init__(self, had: Iterable[str]) -> None:
        self._had = set(had)
        self.found: list[str] = []

    def visit_Try(self, node: ast.Try) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        texts = [ast.unparse(one) for one in node.body]
        handlers = [ast.unparse(one.type) if one.type else "" for one in node.handlers]
        plain = not node.orelse and not node.finalbody and len(handlers) == 1
        if plain and handlers[0] in IMPORT_FAILS and texts and set(texts) <= self._had:
            self.found += texts
            return list(node.body)
        return node


def _without_attempts(old: Side, new: Side) -> list[Confirmed]:
    tried = {
        ast.unparse(one)
        for node in old.body
        for part in ast.walk(node)
        if isinstance(part, ast.Try)
        for one in part.body
    }
    attempts = _Attempts({ast.unparse(node) for node in _import_nodes(old.body)} - tried)
    made: list[ast.stmt] = []
    for node in new.body:
        left = attempts.visit(node)
        made += left if isinstance(left, list) else [left]
    new.body = made
    return [Confirmed(ground=Ground.ATTEMPT, detail=text) for text in attempts.found]


class _Rewrite(ast.NodeTransformer):
    """Brings one kind of equal meaning to one form, and notes where."""

    def __init__(self, side: Side) -> None:
        self.names = side.names
        self.side = side
        self.found: list[Confirmed] = []

    def note(self, ground: Ground, detail: str) -> None:
        self.found.append(Confirmed(ground=ground, detail=detail))


class _Constants(_Rewrite):
    """`os.pathsep` as `':'`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        dotted = self.names.dotted(node) if isinstance(node.ctx, ast.Load) else ""
        if dotted not in facts().equal:
            return self.generic_visit(node)
        self.note(Ground.CONSTANT, f"{dotted} is {facts().equal[dotted]!r}")
        return ast.copy_location(ast.Constant(facts().equal[dotted]), node)


class _Defaults(_Rewrite):
    """Arguments left out that the function takes anyway."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        defaults = facts().defaults.get(self.names.dotted(node.func), {})
        kept: list[ast.keyword] = []
        for keyword in node.keywords:
            if keyword.arg is None or defaults.get(keyword.arg) != ast.unparse(keyword.value):
                kept.append(keyword)
            else:
                self.note(Ground.DEFAULT, f"{ast.unparse(keyword)} of {ast.unparse(node.func)}")
        node.keywords = kept
        return node


class _Integers(_Rewrite):
    """`dtype=np.int64` left out where the number ends in an array of 64-bit integers."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        names = facts().integers.get(self.names.dotted(node.func), {})
        for keyword in tuple(node.keywords):
            wanted = names.get(keyword.arg or "")
            if wanted is None or self.names.dotted(keyword.value) != wanted:
                continue
            if stored_as_int64(node, self.side.body, self.side.module.tree, self.names):
                node.keywords.remove(keyword)
                self.note(Ground.INTEGER, f"{ast.unparse(keyword)} of {ast.unparse(node.func)}")
        return node
