"""Expressions of Python that the platform decides: on Linux they are constants."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Final, TypeGuard, cast

from winvllm_build.audit.guard.facts import facts
from winvllm_build.audit.guard.python_names import Names

FROM_PLATFORM: Final = "linux"
"""The `kind` of a constant that follows from the platform; Python itself only has `u`."""
METHODS: Final = ("startswith", "endswith", "lower", "upper", "strip", "casefold")
CACHED: Final = frozenset(
    f"{module}{name}"
    for module in ("", "functools.")
    for name in ("cache", "lru_cache", "lru_cache(maxsize=1)", "lru_cache(maxsize=None)")
)
COMPARED: Final[dict[type[ast.cmpop], Callable[[object, object], object]]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Is: operator.eq, ast.IsNot: operator.ne,
    ast.In: lambda one, other: _holds(other, one), ast.NotIn: lambda one, other: not _holds(other, one),
}  # fmt: skip


def _holds(container: object, item: object) -> bool:
    if isinstance(container, str) and isinstance(item, str):
        return item in container
    if isinstance(container, tuple):
        return item in container
    raise TypeError


def is_folded(node: ast.expr | None) -> TypeGuard[ast.Constant]:
    """Whether it is a constant that follows from the platform."""
    return isinstance(node, ast.Constant) and node.kind == FROM_PLATFORM


def folded(value: object, at: ast.expr) -> ast.expr:
    made = ast.Constant(cast("str", value), kind=FROM_PLATFORM)  # a tuple of names is folded, too
    return ast.copy_location(made, at)


def decided(node: ast.expr) -> bool | None:
    """Whether a test holds on Linux; None where the platform does not say."""
    return bool(node.value) if is_folded(node) else None


class Decide(ast.NodeTransformer):
    """Replaces what the platform decides; the names around it are given."""

    def __init__(self, names: Names, package: str) -> None:
        self.names = names
        self.package = package

    def expr(self, node: ast.expr) -> ast.expr:
        made = self.visit(node)
        return made if isinstance(made, ast.expr) else node

    def test(self, node: ast.expr) -> ast.expr:
        """Where only truth counts: `x and True` is `x`."""
        return _truth(self.expr(node))

    def generic(self, node: ast.expr) -> ast.expr:
        made = self.generic_visit(node)
        return made if isinstance(made, ast.expr) else node

    def visit_Name(self, node: ast.Name) -> ast.expr:
        found = self.names.binding(node.id, node.lineno) if isinstance(node.ctx, ast.Load) else None
        if found is None:
            return node
        if is_folded(found.value):
            return folded(found.value.value, node)
        return self._known(found.dotted, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        dotted = self.names.dotted(node) if isinstance(node.ctx, ast.Load) else ""
        made = self._known(dotted, node)
        return made if made is not node else self.generic(node)

    def _known(self, dotted: str, node: ast.expr) -> ast.expr:
        if dotted in facts().values:
            return folded(facts().values[dotted], node)
        return folded(self.names.foreign[dotted], node) if dotted in self.names.foreign else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        dotted = self.names.dotted(node.func)
        if not node.args and not node.keywords:
            made = self._known(f"{dotted}()", node)
            if made is not node:
                return made
            if isinstance(node.func, ast.Name):
                found = self.names.binding(node.func.id, node.lineno)
                answer = answer_of(found.helper) if found is not None and found.helper is not None else None
                if answer is not None:
                    return folded(answer.value, node)
        self.generic(node)
        if dotted in ("builtins.hasattr", "builtins.getattr"):
            return self._attribute_of(node, dotted.rpartition(".")[2])
        if dotted == "builtins.bool" and len(node.args) == 1 and is_folded(node.args[0]):
            return folded(bool(node.args[0].value), node)
        return _method(node)

    def _attribute_of(self, node: ast.Call, function: str) -> ast.expr:
        """`hasattr(os, "fork")`, `getattr(signal, "SIGKILL", other)`."""
        name = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else None
        dotted = self.names.dotted(node.args[0]) if node.args else ""
        has = facts().has.get(f"{dotted}.{name}") if isinstance(name, str) else None
        if has is None or (function == "getattr" and len(node.args) != 3):  # noqa: PLR2004 - no default
            return node
        if function == "hasattr":
            return folded(has, node)
        attribute = ast.copy_location(ast.Attribute(node.args[0], str(name), ast.Load()), node)
        return attribute if has else node.args[2]

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic(node)
        if len(node.ops) != 1:
            return node
        left, right = node.left, node.comparators[0]
        one, other = constant(left), constant(right)
        kind = type(node.ops[0])
        if one and other and kind in COMPARED and (is_folded(left) or is_folded(right)):
            try:
                return folded(bool(COMPARED[kind](one[0], other[0])), node)
            except TypeError:
                return node
        if other and self._is_machine(left) and kind in (ast.Eq, ast.In, ast.NotEq, ast.NotIn):
            values = set(other[0]) if isinstance(other[0], tuple) else {other[0]}
            if values <= facts().never:
                return folded(kind in (ast.NotEq, ast.NotIn), node)
        return node

    def _is_machine(self, node: ast.expr) -> bool:
        """`platform.machine()`, in small letters or as it is."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "lower":
            node = node.func.value
        return isinstance(node, ast.Call) and f"{self.names.dotted(node.func)}()" == facts().machine

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if not isinstance(node.op, ast.Not):
            return self.generic(node)
        node.operand = self.test(node.operand)
        answer = decided(node.operand)
        return node if answer is None else folded(not answer, node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """A deciding operand ends the operation, where evaluating what stands before it does nothing."""
        self.generic(node)
        goes_on = isinstance(node.op, ast.And)
        rest: list[ast.expr] = []
        for at, value in enumerate(node.values):
            answer = decided(value)
            if answer is goes_on and at < len(node.values) - 1:
                continue
            if answer is not None and answer is not goes_on and all(self.pure(one) for one in rest):
                return value
            rest.append(value)
            if answer is not None and answer is not goes_on:
                break
        return rest[0] if len(rest) == 1 else ast.copy_location(ast.BoolOp(node.op, rest), node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        node.test = self.test(node.test)
        answer = decided(node.test)
        if answer is not None:
            return self.expr(node.body if answer else node.orelse)
        return self.generic(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic(node)
        if is_folded(node.value) and isinstance(node.value.value, str):
            try:
                return folded(_cut(node.value.value, node.slice), node)
            except (ValueError, TypeError, IndexError):
                return node
        return node

    def pure(self, node: ast.expr) -> bool:
        """Whether evaluating a test does nothing and cannot fail; a name's own truth may."""
        if isinstance(node, ast.Constant):
            return True
        if isinstance(node, ast.UnaryOp):
            return isinstance(node.op, ast.Not) and self.pure(node.operand)
        if isinstance(node, ast.BoolOp):
            return all(self.pure(one) for one in node.values)
        if isinstance(node, ast.Compare):
            identity = all(isinstance(one, (ast.Is, ast.IsNot)) for one in node.ops)
            return identity and all(self._has_value(one) for one in (node.left, *node.comparators))
        return False

    def _has_value(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Constant):
            return True
        return isinstance(node, ast.Name) and (
            self.names.binding(node.id, node.lineno) is not None or self.names.is_argument(node.id)
        )


def _truth(node: ast.expr) -> ast.expr:
    """Operands that change nothing about the truth left out."""
    if not isinstance(node, ast.BoolOp):
        return node
    goes_on = isinstance(node.op, ast.And)
    values = [_truth(value) for value in node.values]
    kept = [value for value in values if decided(value) is not goes_on]
    if not kept:
        return values[-1]
    return kept[0] if len(kept) == 1 else ast.copy_location(ast.BoolOp(node.op, kept), node)


def constant(node: ast.expr) -> tuple[object] | None:
    """The value of a constant, or of a tuple, list or set of such; in a tuple, so that None is a value."""
    if isinstance(node, ast.Constant):
        return (node.value,)
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        parts = [constant(one) for one in node.elts]
        return None if None in parts else (tuple(part[0] for part in parts if part),)
    return None


def _method(node: ast.Call) -> ast.expr:
    """`"linux".startswith("win")`."""
    function = node.func
    arguments = [constant(one) for one in node.args]
    if not (isinstance(function, ast.Attribute) and is_folded(function.value)):
        return node
    text = function.value.value
    if not isinstance(text, str) or function.attr not in METHODS or None in arguments or node.keywords:
        return node
    try:
        return folded(getattr(text, function.attr)(*(one[0] for one in arguments if one)), node)
    except TypeError:
        return node


def _cut(text: str, place: ast.expr) -> str:
    if isinstance(place, ast.Slice):
        bounds = [None if one is None else int(ast.literal_eval(one)) for one in (place.lower, place.upper)]
        if place.step is not None:
            raise ValueError("a step")
        return text[bounds[0] : bounds[1]]
    return text[int(ast.literal_eval(place))]


def answer_of(helper: ast.FunctionDef) -> ast.Constant | None:
    """What a function of one line returns, if it takes nothing and only the platform decides."""
    given = helper.args
    takes = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    known = {ast.unparse(one) for one in helper.decorator_list} <= CACHED
    body = [one for one in helper.body if not is_text(one)]
    if any(takes) or not known or len(body) != 1 or not isinstance(body[0], ast.Return):
        return None
    value = body[0].value
    return value if is_folded(value) else None


def is_text(node: ast.stmt) -> bool:
    """A constant that stands alone, as a docstring does."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
