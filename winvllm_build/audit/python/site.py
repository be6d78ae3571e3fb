"""One expression, with what stands around it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from winvllm_build.audit.hit import State
from winvllm_build.audit.python.flow import Flow, Place, Step
from winvllm_build.audit.python.module import Module

MESSAGES: Final = re.compile(
    r"(?:^|\.)(?:log|logger|logging|_logger|console|warnings|rich|parser|group|_?print\w*)"
    r"(?:\.(?:\w*log|debug|info\w*|warn\w*|error\w*|exception|critical|print|add_argument\w*))?$|(?:^|\.)print$"
)
ABOVE: Final[Mapping[str, frozenset[str]]] = {
    "ModuleNotFoundError": frozenset(["ImportError"]),
    "NotImplementedError": frozenset(["RuntimeError"]),
    "FileNotFoundError": frozenset(["OSError", "IOError", "EnvironmentError"]),
    "FileExistsError": frozenset(["OSError", "IOError", "EnvironmentError"]),
    "PermissionError": frozenset(["OSError", "IOError", "EnvironmentError"]),
    "OSError": frozenset(["IOError", "EnvironmentError"]),
    "UnicodeDecodeError": frozenset(["UnicodeError", "ValueError"]),
    "UnicodeEncodeError": frozenset(["UnicodeError", "ValueError"]),
}
"""What Windows raises, and the classes above it that a handler may name instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a rule says of an expression.

    Attributes:
        raises: what Windows raises; a handler of one of these guards the place.
        unless: a condition around it that mentions this guards the place too (`has_flashinfer`).
        met: another place of the file meets it for Windows.
    """

    hazard: str
    rule: str
    detail: str = ""
    raises: tuple[str, ...] = ()
    unless: str = ""
    met: bool = False


@dataclass(kw_only=True, eq=False)
class Site:
    """An expression.

    Attributes:
        parents: the expressions around it in its statement, innermost last.
        place: of its statement; a conditional expression around it can leave it out as well.
    """

    node: ast.AST
    module: Module
    statement: ast.stmt
    place: Place
    parents: tuple[ast.AST, ...]
    tests: tuple[ast.expr, ...] = ()
    """Conditions of the same expression that it depends on."""

    def dotted(self, node: ast.AST | None = None) -> str:
        return self.module.dotted(self.node if node is None else node)

    @cached_property
    def parent(self) -> ast.AST | None:
        return self.parents[-1] if self.parents else None

    @cached_property
    def is_message(self) -> bool:
        """Only read by people: logged, printed, raised, or the help of an option."""
        if isinstance(self.statement, ast.Raise):
            return True
        if isinstance(self.statement, ast.Assert) and self.within(self.statement.msg):
            return True
        return any(
            isinstance(parent, ast.Call) and MESSAGES.search(_name(parent.func)) for parent in self.parents
        ) or any(isinstance(parent, ast.keyword) and parent.arg in HELP for parent in self.parents)

    def within(self, node: ast.AST | None) -> bool:
        return node is not None and (node is self.node or node in self.parents)

    def state(self, finding: Finding) -> State:
        """Whether Windows meets what was found."""
        if self.place.state is not State.LIVE:
            return self.place.state
        if finding.met:
            return State.GUARDED
        for name in finding.raises:
            if {name, "Exception", "BaseException", *ABOVE.get(name, ())} & self.place.caught:
                return State.GUARDED
        if finding.unless:
            tests = (*self.place.assumed, *self.tests)
            if any(re.search(finding.unless, ast.unparse(test), re.IGNORECASE) for test in tests):
                return State.GUARDED
        return State.LIVE


HELP: Final = frozenset(["help", "description", "epilog", "metavar", "deprecated", "usage", "message", "msg"])
Rule = Callable[[Site], Iterator[Finding]]
Rules = Mapping[type[ast.AST], tuple[Rule, ...]]
"""The rules for each kind of expression."""


def _name(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(node.id)
    return ".".join(reversed(parts))


SKIPPED: Final = frozenset(["annotation", "returns", "type_params", "ctx", "op", "ops"])


def sites(step: Step, module: Module, flow: Flow) -> Iterator[Site]:
    """The expressions of one statement, outside in; the statement itself first."""
    if isinstance(step.node, ast.Expr) and isinstance(step.node.value, ast.Constant):
        return
    yield Site(node=step.node, module=module, statement=step.node, place=step.place, parents=())
    stack: list[tuple[ast.AST, Place, tuple[ast.AST, ...], tuple[ast.expr, ...]]] = [
        (child, step.place, (), ()) for child in _children(step.node)
    ]
    while stack:
        node, place, parents, tests = stack.pop()
        if isinstance(node, ast.expr | ast.keyword | ast.alias | ast.withitem):
            yield Site(
                node=node, module=module, statement=step.node, place=place, parents=parents, tests=tests
            )
        around = (*parents, node)
        if isinstance(node, ast.IfExp | ast.BoolOp):
            stack += [(child, where, around, held) for child, where, held in _parts(node, place, tests, flow)]
        else:
            stack += [(child, place, around, tests) for child in _children(node)]


def _parts(
    node: ast.IfExp | ast.BoolOp, place: Place, tests: tuple[ast.expr, ...], flow: Flow
) -> Iterator[tuple[ast.expr, Place, tuple[ast.expr, ...]]]:
    """The parts of a conditional expression, each with whether Windows evaluates it."""
    if isinstance(node, ast.IfExp):
        verdict = flow.decide(node.test)
        yield node.test, place, tests
        yield node.body, place.without(verdict) if verdict.value is False else place, (*tests, node.test)
        yield node.orelse, place.without(verdict) if verdict.value is True else place, (*tests, node.test)
        return
    ending = isinstance(node.op, ast.Or)
    for value in node.values:
        yield value, place, tests
        verdict = flow.decide(value)
        if verdict.value is ending:
            place = place.without(verdict)
        tests = (*tests, value)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Expressions below a node; blocks of statements are steps of their own."""
    for name in node._fields:
        if name in SKIPPED:
            continue
        value = getattr(node, name, None)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ast.ExceptHandler):
                    if item.type is not None:
                        yield item.type
                elif isinstance(item, ast.AST) and not isinstance(item, ast.stmt | ast.match_case):
                    yield item
        elif isinstance(value, ast.AST) and not isinstance(value, ast.stmt):
            yield value
