"""The extension modules that `setup.py` builds for CUDA, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import SourceError
from winvllm_build.intake.checkout import Checkout

SETUP: Final = "setup.py"
CLASS: Final = "CMakeExtension"
CUDA_BUILD: Final = {
    "_is_cuda": True, "_build_custom_ops": True, "_is_hip": False, "_is_cpu": False, "_is_xpu": False,
    "_is_tpu": False, "_no_device": False,
}  # fmt: skip
"""What setup.py's own questions answer where vLLM is built for CUDA."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One `CMakeExtension`.

    Attributes:
        module: its dotted name.
        optional: whether a build without it is a success.
        conditions: under what it is built, as far as that is not known for CUDA.
    """

    module: str
    optional: bool
    conditions: tuple[str, ...]

    @property
    def target(self) -> str:
        """The CMake target that makes it: the last part of its name."""
        return self.module.rpartition(".")[2]


def read(checkout: Checkout) -> tuple[Extension, ...]:
    """The extensions of a CUDA build in their order.

    Raises:
        SourceError: setup.py is missing or not Python.
    """
    try:
        module = ast.parse(checkout.text(SETUP))
    except SyntaxError as error:
        raise SourceError(
            f"{SETUP} of {checkout.name}, line {error.lineno}: {error.msg}",
            fix="read it with a newer Python: the tag's own requires-python says which",
        ) from error
    found: dict[str, Extension] = {}
    for extension in _in(module.body, ()):
        found.setdefault(extension.module, extension)
    return tuple(found.values())


def _in(statements: Iterable[ast.stmt], conditions: tuple[str, ...]) -> Iterator[Extension]:
    for statement in statements:
        if isinstance(statement, ast.If):
            yield from _branches(statement, conditions)
        elif isinstance(statement, ast.For | ast.While | ast.With | ast.Try):
            yield from _in(statement.body, conditions)
        elif not isinstance(statement, ast.FunctionDef | ast.ClassDef):
            yield from _made(statement, conditions)


def _branches(statement: ast.If, conditions: tuple[str, ...]) -> Iterator[Extension]:
    answer = _answer(statement.test)
    test = () if answer is not None else (ast.unparse(statement.test),)
    if answer is not False:
        yield from _in(statement.body, (*conditions, *test))
    if answer is not True:
        yield from _in(statement.orelse, (*conditions, *(f"not ({text})" for text in test)))


def _made(statement: ast.stmt, conditions: tuple[str, ...]) -> Iterator[Extension]:
    for node in ast.walk(statement):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == CLASS):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        name = given.get("name", node.args[0] if node.args else None)
        optional = given.get("optional")
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield Extension(
                module=name.value, conditions=conditions,
                optional=isinstance(optional, ast.Constant) and optional.value is True,
            )  # fmt: skip


def _answer(test: ast.expr) -> bool | None:
    """Whether a condition holds in a CUDA build; None where it depends on the machine."""
    match test:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return CUDA_BUILD.get(name)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            answer = _answer(inner)
            return None if answer is None else not answer
        case ast.BoolOp(op=ast.And(), values=parts):
            return _joined(parts, decisive=False)
        case ast.BoolOp(op=ast.Or(), values=parts):
            return _joined(parts, decisive=True)
        case _:
            return None


def _joined(parts: Sequence[ast.expr], *, decisive: bool) -> bool | None:
    answers = [_answer(part) for part in parts]
    if decisive in answers:
        return decisive
    return None if None in answers else not decisive
