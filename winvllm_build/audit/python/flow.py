"""The statements of a module in order, and whether Windows executes them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final, cast

from winvllm_build.audit.hit import State
from winvllm_build.audit.python.facts import Facts, Verdict
from winvllm_build.audit.python.module import Module

LEAVES: Final = (ast.Return, ast.Raise, ast.Continue, ast.Break)
EXITS: Final = frozenset(["sys.exit", "os._exit", "exit", "pytest.skip"])
CHECKS: Final = ("check_", "ensure_", "require_", "verify_", "_check", "_ensure", "_require")
"""What a function is called that raises where Windows cannot go on."""
SUPPRESSORS: Final = frozenset(["contextlib.suppress"])
SIMPLE: Final = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Import, ast.ImportFrom, *LEAVES)
TRIES: Final = (ast.Try, getattr(ast, "TryStar", ast.Try))
"""`except*` is new in Python 3.11."""
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
NOT_THERE: Final = Verdict(value=False, windows=True)
Scope = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a statement stands.

    Attributes:
        state: whether Windows gets there.
        windows: it is Windows alone that gets there.
        caught: the exceptions that the surrounding try statements of the same function handle.
        assumed: conditions that hold, or are tested, around it.
        inside: the compound statements around it, outermost first.
    """

    state: State = State.LIVE
    windows: bool = False
    caught: frozenset[str] = frozenset()
    assumed: tuple[ast.expr, ...] = ()
    inside: tuple[ast.stmt, ...] = ()

    @property
    def function(self) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        found = [node for node in self.inside if isinstance(node, FUNCTIONS)]
        return found[-1] if found else None

    def without(self, verdict: Verdict) -> Place:
        """A branch that the verdict leaves out."""
        state = State.GUARDED if verdict.windows else State.DEAD
        return self if self.state is not State.LIVE else replace(self, state=state)

    def within(self, node: ast.stmt) -> Place:
        return replace(self, inside=(*self.inside, node))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One statement; of a compound one, only what stands before its colon belongs to it."""

    node: ast.stmt
    place: Place


class Flow:
    """Reads one module."""

    def __init__(self, module: Module, facts: Facts) -> None:
        self._module = module
        self._facts = facts
        self._decided: dict[ast.expr, Verdict] = {}

    def steps(self) -> Iterator[Step]:
        yield from self._block(self._module.tree.body, Place())

    def decide(self, node: ast.expr) -> Verdict:
        found = self._decided.get(node)
        if found is None:
            found = self._decided[node] = self._facts.decide(node, self._module)
        return found

    def _block(self, body: Sequence[ast.stmt], place: Place) -> Iterator[Step]:
        met: set[str] = set()
        replaced = self._replaced(body)
        for node in body:
            here = place
            if replaced and isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in replaced:
                here = place.without(NOT_THERE)
            if met and isinstance(node, ast.If) and ast.dump(node.test) in met:
                here = place.without(NOT_THERE)
            yield Step(node=node, place=here)
            yield from self._inner(node, here)
            place = self._after(node, place)
            met |= self._answered(node)

    def _inner(self, node: ast.stmt, place: Place) -> Iterator[Step]:
        if isinstance(node, SIMPLE):
            return
        inside = place.within(node)
        if isinstance(node, TRIES):
            yield from self._try(cast("ast.Try", node), inside)
            return
        match node:
            case ast.If() | ast.While():
                yield from self._branches(node, inside)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._block(node.body, replace(inside, caught=frozenset()))
            case ast.ClassDef():
                yield from self._block(node.body, inside)
            case ast.For() | ast.AsyncFor():
                yield from self._block(node.body, inside)
                yield from self._block(node.orelse, inside)
            case ast.With() | ast.AsyncWith():
                caught = inside.caught | self._suppressed(node)
                yield from self._block(node.body, replace(inside, caught=caught))
            case ast.Match():
                for branch in node.cases:
                    yield from self._block(branch.body, inside)
            case _:
                return

    def _branches(self, node: ast.If | ast.While, inside: Place) -> Iterator[Step]:
        verdict = self.decide(node.test)
        body = replace(inside, assumed=(*inside.assumed, node.test))
        orelse = inside
        if verdict.value is True:
            orelse = inside.without(verdict)
        elif verdict.value is False:
            body = body.without(verdict)
        if body.state is State.LIVE and ((verdict.value and verdict.windows) or self._mentions_windows(node)):
            body = replace(body, windows=True)
        if verdict.value is False and verdict.windows:
            orelse = replace(orelse, windows=True)
        yield from self._block(node.body, body)
        yield from self._block(node.orelse, orelse)

    def _try(self, node: ast.Try, inside: Place) -> Iterator[Step]:
        caught = frozenset(name for handler in node.handlers for name in self._handled(handler))
        yield from self._block(node.body, replace(inside, caught=inside.caught | caught))
        for handler in node.handlers:
            yield from self._block(handler.body, inside)
        yield from self._block(node.orelse, inside)
        yield from self._block(node.finalbody, inside)

    def _handled(self, handler: ast.ExceptHandler) -> Iterator[str]:
        """The exceptions that end here; a handler that raises ends none."""
        if handler.body and isinstance(handler.body[-1], ast.Raise):
            return
        if handler.type is None:
            yield "BaseException"
        else:
            yield from self._exceptions(handler.type)

    def _exceptions(self, node: ast.expr) -> Iterator[str]:
        if isinstance(node, ast.IfExp):
            verdict = self.decide(node.test)
            yield from self._exceptions(node.orelse if verdict.value is False else node.body)
        elif isinstance(node, ast.Tuple):
            for element in node.elts:
                yield from self._exceptions(element)
        else:
            yield self._module.dotted(node).rpartition(".")[2]

    def _suppressed(self, node: ast.With | ast.AsyncWith) -> frozenset[str]:
        calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
        return frozenset(
            name
            for call in calls
            if self._module.dotted(call.func) in SUPPRESSORS
            for argument in call.args
            for name in self._exceptions(argument)
        )

    def _after(self, node: ast.stmt, place: Place) -> Place:
        """What follows a branch that Windows takes and does not come back from."""
        if isinstance(node, ast.If):
            verdict = self.decide(node.test)
            taken = node.body if verdict.value else node.orelse
            if verdict.value is not None and self._leaves(taken):
                return place.without(verdict)
            if verdict.value is None and self._leaves(node.body):
                return replace(place, assumed=(*place.assumed, node.test))
            if verdict.value is not None and verdict.windows and self._checks(taken):
                return place.without(verdict)
        if isinstance(node, ast.Assert):
            verdict = self.decide(node.test)
            if verdict.value is False:
                return place.without(verdict)
            return replace(place, assumed=(*place.assumed, node.test))
        return place

    def _leaves(self, body: Sequence[ast.stmt]) -> bool:
        if not body:
            return False
        last = body[-1]
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
            return self._module.dotted(last.value.func) in EXITS
        if isinstance(last, ast.If):
            return self._leaves(last.body) and self._leaves(last.orelse)
        if isinstance(last, ast.With | ast.AsyncWith):
            return self._leaves(last.body)
        return isinstance(last, LEAVES)

    def _checks(self, body: Sequence[ast.stmt]) -> bool:
        """`if sys.platform == "win32": check_world_size(size)`."""
        calls = [node.value for node in body if isinstance(node, ast.Expr)]
        names = [self._module.dotted(call.func) for call in calls if isinstance(call, ast.Call)]
        return any(name.rpartition(".")[2].startswith(CHECKS) for name in names)

    def _answered(self, node: ast.stmt) -> set[str]:
        """`if win32 and not x: set_x()` answers a later `if not x` of the same block."""
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.BoolOp)):
            return set()
        if not isinstance(node.test.op, ast.And):
            return set()
        verdicts = [self.decide(value) for value in node.test.values]
        if not any(verdict.value and verdict.windows for verdict in verdicts):
            return set()
        return {
            ast.dump(value)
            for value, verdict in zip(node.test.values, verdicts, strict=True)
            if verdict.value is None
        }

    def _replaced(self, body: Sequence[ast.stmt]) -> set[str]:
        """What a branch for Windows gives another value: `x = a` before `if win32: x = b`."""
        found: set[str] = set()
        for before, node in pairwise(body):
            if isinstance(before, ast.Assign) and isinstance(node, ast.If):
                verdict = self.decide(node.test)
                if verdict.value and verdict.windows:
                    found |= {
                        ast.unparse(inner.targets[0]) for inner in node.body if isinstance(inner, ast.Assign)
                    }
        return found

    def _mentions_windows(self, node: ast.If | ast.While) -> bool:
        """`if sys.platform == "win32" and other:` is open, and Windows' own."""
        if not (isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And)):
            return False
        verdicts = [self.decide(value) for value in node.test.values]
        return any(verdict.value and verdict.windows for verdict in verdicts)
