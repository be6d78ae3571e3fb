"""Conditions as Windows with a CUDA build decides them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.audit.python.module import Module
from winvllm_build.audit.python.posix import lacks, modules

PLATFORM: Final = {
    "sys.platform": "win32", "os.name": "nt", "os.sep": "\\", "os.pathsep": ";", "os.path.sep": "\\",
    "os.linesep": "\r\n",
}  # fmt: skip
SYSTEM: Final = {
    "platform.system": "Windows", "platform.uname": None, "sys.platform.lower": "win32",
    "platform.system.lower": "windows",
}  # fmt: skip
OTHER_DEVICE: Final = frozenset(
    ["is_rocm", "is_tpu", "is_xpu", "is_hpu", "is_neuron", "is_cpu", "is_out_of_tree", "is_hip", "is_zen_cpu"]
)
"""Questions that a CUDA build answers with no, whatever the system."""
OWN_DEVICE: Final = frozenset(["is_cuda", "is_cuda_alike"])
NOTHING: Final = {"torch.version.hip", "torch.version.xpu", "typing.TYPE_CHECKING", "TYPE_CHECKING"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A condition on Windows: `value` is None where it is open; `windows`: a fact on the system decides."""

    value: bool | None = None
    windows: bool = False

    def __invert__(self) -> Verdict:
        return self if self.value is None else Verdict(value=not self.value, windows=self.windows)


OPEN: Final = Verdict()


class Facts:
    """What is known of the names of a tree: `vllm.utils.IS_WINDOWS` and helpers of one line."""

    def __init__(self) -> None:
        self._names: dict[str, Verdict] = {}

    def learn(self, module: Module) -> None:
        """Keep the module's constants and one-line helpers that say something on the platform."""
        if not any(word in module.text for word in ("platform", "os.name", "hip", "is_")):
            return
        for node in module.tree.body:
            name, value = _definition(node)
            if value is not None:
                verdict = self.decide(value, module)
                if verdict.value is not None:
                    self._names[f"{module.name}.{name}"] = verdict

    def decide(self, node: ast.expr, module: Module) -> Verdict:
        """A condition in `module`."""
        match node:
            case ast.BoolOp():
                return self._both(node, module)
            case ast.UnaryOp(op=ast.Not()):
                return ~self.decide(node.operand, module)
            case ast.Compare():
                return _compared(node, module)
            case ast.Call():
                return self._called(node, module)
            case _:
                return self._plain(node, module)

    def _plain(self, node: ast.expr, module: Module) -> Verdict:
        if isinstance(node, ast.Constant):
            return Verdict(value=bool(node.value))
        return self._named(module.dotted(node), module)

    def _both(self, node: ast.BoolOp, module: Module) -> Verdict:
        """One operand can decide; which one it is says whether Windows does."""
        deciding = isinstance(node.op, ast.Or)
        found = [self.decide(value, module) for value in node.values]
        decided = [verdict for verdict in found if verdict.value is deciding]
        if decided:
            return Verdict(value=deciding, windows=any(verdict.windows for verdict in decided))
        if all(verdict.value is not None for verdict in found):
            return Verdict(value=not deciding, windows=any(verdict.windows for verdict in found))
        return OPEN

    def _named(self, name: str, module: Module) -> Verdict:
        if not name:
            return OPEN
        if name in NOTHING:
            return Verdict(value=False)
        return self._names.get(f"{module.name}.{name}") or self._names.get(name) or OPEN

    def _called(self, node: ast.Call, module: Module) -> Verdict:
        name = module.dotted(node.func)
        if name == "hasattr" and len(node.args) == 2:  # noqa: PLR2004 - as many arguments as it takes
            return _has(module.dotted(node.args[0]), node.args[1])
        if isinstance(node.func, ast.Attribute) and node.func.attr == "startswith" and node.args:
            return _starts(_value(node.func.value, module), node.args[0])
        if name == "importlib.util.find_spec" and node.args:
            return _found(node.args[0])
        last = name.rpartition(".")[2].lstrip("_")
        if last in OTHER_DEVICE:
            return Verdict(value=False)
        if last in OWN_DEVICE:
            return Verdict(value=True)
        return self._named(name, module)


def _definition(node: ast.stmt) -> tuple[str, ast.expr | None]:
    """The name and the value of a constant, or of a function that only returns something."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=value):
            return name, value
        case ast.FunctionDef(name=name, args=ast.arguments(args=[]), body=body):
            last = body[-1]
            plain = all(_is_text(statement) for statement in body[:-1])
            return name, last.value if plain and isinstance(last, ast.Return) else None
        case _:
            return "", None


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _value(node: ast.expr, module: Module) -> str | None:
    """What a question for the system answers on Windows."""
    if isinstance(node, ast.Call):
        inner = node.func
        if isinstance(inner, ast.Attribute) and inner.attr in {"lower", "casefold"}:
            value = _value(inner.value, module)
            return None if value is None else value.lower()
        return SYSTEM.get(module.dotted(node.func))
    return PLATFORM.get(module.dotted(node))


def _constant(node: ast.expr) -> Any:  # noqa: ANN401 - a literal may be anything
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _compared(node: ast.Compare, module: Module) -> Verdict:
    if len(node.ops) != 1:
        return OPEN
    left, right = node.left, node.comparators[0]
    own = _value(left, module)
    if own is None:
        own, right = _value(right, module), left
    other = _constant(right)
    if own is None or other is None:
        return _none(node, module)
    result: Mapping[type[ast.cmpop], bool] = {
        ast.Eq: own == other, ast.NotEq: own != other, ast.Is: own == other, ast.IsNot: own != other,
        ast.In: _within(own, other, node), ast.NotIn: not _within(own, other, node),
    }  # fmt: skip
    value = result.get(type(node.ops[0]))
    return Verdict(value=value, windows=value is not None)


def _within(own: str, other: Any, node: ast.Compare) -> bool:  # noqa: ANN401 - a literal may be anything
    """`sys.platform in (...)`, and `"win" in sys.platform`."""
    if isinstance(other, str) and isinstance(node.left, ast.Constant):
        return other in own
    return isinstance(other, str | list | tuple | set | dict) and own in other


def _none(node: ast.Compare, module: Module) -> Verdict:
    """`torch.version.hip is not None`, and `os.uname is None`."""
    right = node.comparators[0]
    if module.dotted(node.left) in NOTHING and isinstance(right, ast.Constant) and right.value is None:
        return Verdict(value=isinstance(node.ops[0], ast.Is | ast.Eq))
    return OPEN


def _has(owner: str, name: ast.expr) -> Verdict:
    if isinstance(name, ast.Constant) and lacks(owner, str(name.value)):
        return Verdict(value=False, windows=True)
    return OPEN


def _starts(own: str | None, start: ast.expr) -> Verdict:
    starts = _constant(start)
    if own is None or not isinstance(starts, str | tuple):
        return OPEN
    return Verdict(value=own.startswith(starts), windows=True)


def _found(name: ast.expr) -> Verdict:
    if isinstance(name, ast.Constant) and name.value in modules():
        return Verdict(value=False, windows=True)
    return OPEN
