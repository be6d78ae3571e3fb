"""Python code as Linux executes it: tests of the platform decided, dead branches removed."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator, Sequence

PLATFORM = {("sys", "platform"): "linux", ("os", "name"): "posix"}
SYSTEM = "Linux"


def differences(before: str, after: str) -> list[str]:
    """What Linux executes differently: `where: -statement` and `where: +statement`, in order."""
    old, new = _units(before), _units(after)
    found: list[str] = []
    for name in [*old, *(name for name in new if name not in old)]:
        changed = difflib.ndiff(old.get(name, []), new.get(name, []))
        found += [f"{name}: {line[0]}{line[2:].strip()}" for line in changed if line[0] in "+-"]
    return found


class _Linux(ast.NodeTransformer):
    """Decides `sys.platform`, `os.name` and `platform.system()`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        value = PLATFORM.get((node.value.id, node.attr)) if isinstance(node.value, ast.Name) else None
        return node if value is None else ast.Constant(value)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if ast.unparse(node) == "platform.system()":
            return ast.Constant(SYSTEM)
        arguments = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr == "startswith"
            and isinstance(node.func.value, ast.Constant)
            and isinstance(node.func.value.value, str)
            and len(arguments) == 1 == len(node.args)
        ):
            return ast.Constant(node.func.value.value.startswith(str(arguments[0])))
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        self.generic_visit(node)
        right = node.comparators[0]
        if len(node.ops) == 1 and isinstance(node.left, ast.Constant) and isinstance(right, ast.Constant):
            same = node.left.value == right.value
            if isinstance(node.ops[0], ast.Eq):
                return ast.Constant(same)
            if isinstance(node.ops[0], ast.NotEq):
                return ast.Constant(not same)
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        decided = _decided(node.operand)
        return ast.Constant(not decided) if isinstance(node.op, ast.Not) and decided is not None else node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        """A deciding operand ends the operation only if nothing before it has to be executed."""
        self.generic_visit(node)
        neutral = isinstance(node.op, ast.And)
        rest: list[ast.expr] = []
        for value in node.values:
            decided = _decided(value)
            if decided is neutral:
                continue
            rest.append(value)
            if decided is not None:
                break
        if not rest:
            return ast.Constant(neutral)
        return rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        self.generic_visit(node)
        decided = _decided(node.test)
        return node if decided is None else (node.body if decided else node.orelse)

    def visit_If(self, node: ast.If) -> ast.stmt | list[ast.stmt]:
        self.generic_visit(node)
        decided = _decided(node.test)
        return node if decided is None else (node.body if decided else node.orelse)


def _decided(node: ast.expr) -> bool | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, bool) else None


def _units(source: str) -> dict[str, list[str]]:
    """The folded lines of each function, of each class's and of the module's own body."""
    tree = ast.parse(source)
    _Linux().visit(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.body:
            node.body = [ast.Pass()]
    ast.fix_missing_locations(tree)
    return dict(_named("", tree.body))


def _named(prefix: str, body: Sequence[ast.stmt]) -> Iterator[tuple[str, list[str]]]:
    rest: list[str] = []
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, ast.unparse(node).splitlines()
        elif isinstance(node, ast.ClassDef):
            yield from _named(f"{prefix}{node.name}.", node.body)
            rest += [f"class {node.name}", *(ast.unparse(base) for base in node.bases)]
        else:
            rest += ast.unparse(node).splitlines()
    yield f"{prefix}<body>", rest
