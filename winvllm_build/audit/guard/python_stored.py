"""Whether a number only ever goes into an array of 64-bit integers, so that its own type is of no account."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from winvllm_build.audit.guard.python_names import Names


def stored_as_int64(call: ast.Call, body: Iterable[ast.stmt], tree: ast.Module, names: Names) -> bool:
    """Whether what `call` returns is a scalar that is stored in such arrays and used for nothing else.

    Args:
        call: the call, without an argument `size`.
        body: the function that it stands in.
        tree: the module, where the array is made.
        names: resolves names.
    """
    if any(keyword.arg in ("size", None) for keyword in call.keywords) or len(call.args) > 2:  # noqa: PLR2004 - as many arguments as it takes
        return False
    nodes = [part for node in body for part in ast.walk(node)]
    name = next((_target(one) for one in nodes if isinstance(one, ast.Assign) and one.value is call), None)
    if name is None:
        return False
    stores = [one for one in nodes if isinstance(one, ast.Assign) and _loads(one.value, name)]
    reads = [one for one in nodes if isinstance(one, ast.Name) and one.id == name]
    loads = [one for one in reads if isinstance(one.ctx, ast.Load)]
    asked = [one for one in nodes if _asks_for_none(one, name)]
    return len(loads) - len(asked) == len(stores) > 0 and all(_into_int64(one, tree, names) for one in stores)


def _target(node: ast.Assign) -> str | None:
    target = node.targets[0]
    return target.id if len(node.targets) == 1 and isinstance(target, ast.Name) else None


def _loads(value: ast.expr, name: str) -> bool:
    return isinstance(value, ast.Name) and value.id == name


def _asks_for_none(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Compare) and ast.unparse(node) in (f"{name} is None", f"{name} is not None")


def _into_int64(store: ast.Assign, tree: ast.Module, names: Names) -> bool:
    """`self.seeds.np[i] = x` where `self.seeds` is made once, with a dtype of int64."""
    target = store.targets[0]
    if len(store.targets) != 1 or not isinstance(target, ast.Subscript):
        return False
    array = target.value
    if isinstance(array, ast.Attribute) and array.attr == "np":
        array = array.value
    made = list(_made(ast.unparse(array), tree))
    return len(made) == 1 and _has_int64(made[0], names)


def _made(what: str, tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from (node.value for target in node.targets if ast.unparse(target) == what)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)) and ast.unparse(node.target) == what:
            yield node.value or ast.Constant(None)


def _has_int64(value: ast.expr, names: Names) -> bool:
    if not isinstance(value, ast.Call):
        return False
    types = [names.dotted(one.value) for one in value.keywords if one.arg == "dtype"]
    return types[:1] in (["torch.int64"], ["numpy.int64"], ["torch.long"])
