"""A Python module on Linux: its functions, the bodies of its classes and its own, and its constants."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.audit.files import Files
from winvllm_build.audit.guard.python_decide import Decide, answer_of, folded, is_folded
from winvllm_build.audit.guard.python_fold import Fold, loaded
from winvllm_build.audit.guard.python_names import Binding, Names, Scope, scope_of_body

ROUNDS: Final = 3
"""A constant may depend on one that depends on the platform."""
BODY: Final = "<body>"
PLATFORM_WORDS: Final = re.compile(r"sys\.platform|os\.name|platform\.system|import platform|from sys import")
WORD: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A function, or the statements of a class or module that are not in one; those have a mark in its place.

    Attributes:
        name: `Class.method`, `<body>`, `Class.<body>`; `#2` behind it for the second of a name.
        body: one statement for a function.
        source: what stands in the file, to compare without looking closer; empty for bodies.
        classes: the scopes of the classes around it.
    """

    name: str
    body: tuple[ast.stmt, ...]
    source: str = ""
    classes: tuple[Scope, ...] = ()


class Module:
    """One module, its conditions on the platform decided outside of functions.

    Args:
        path: relative to the tree.
        text: the source.
        siblings: the other modules of the tree.
        before: names that the module binds before the patch: a constant under one of them is a constant on
            both sides, even if the patch puts it into a branch.

    Raises:
        SyntaxError: it is not Python.
    """

    def __init__(
        self, path: str, text: str, siblings: Siblings, before: frozenset[str] = frozenset()
    ) -> None:
        self.path = path
        self.siblings = siblings
        self._before = before
        self.tree = ast.parse(text)
        self.package = package_of(path)
        self._lines = text.split("\n")
        self._sources = dict(self._source_of(self.tree.body))
        self._globals = _declared_global(self.tree) if "global " in text else frozenset()
        self.scope = self._scope()
        self.foreign = siblings.constants(self.scope, self._tested())
        for _ in range(ROUNDS):
            self.tree.body = self._decided(self.tree.body, Decide(self.names(), self.package))
            self.scope = self._scope()

    def has_submodule(self, name: str) -> bool:
        """Whether it is a package with a module of that name, which would become its attribute."""
        if not self.path.endswith("/__init__.py"):
            return False
        place = self.path.removesuffix("__init__.py") + name
        return any(one in self.siblings.files for one in (f"{place}.py", f"{place}/__init__.py"))

    def _scope(self) -> Scope:
        scope = scope_of_body("module", self.tree.body, self.package)
        for name in self._globals:
            scope.bind(name, Binding(line=0))
        return scope

    def names(self, classes: Sequence[Scope] = ()) -> Names:
        found = Names(self.scope, self.foreign)
        found.scopes += classes
        return found

    def known(self) -> Mapping[str, object]:
        """What is known of the module's own names: imports, constants of the platform, helpers."""
        names = self.names()
        found: dict[str, object] = {}
        for name in self.scope.names:
            binding = names.binding(name, len(self._lines) + 1)
            if binding is None:
                continue
            helper = answer_of(binding.helper) if binding.helper is not None else None
            if binding.dotted:
                found[name] = (binding.dotted, self.foreign.get(binding.dotted))
            elif is_folded(binding.value):
                found[name] = binding.value.value
            elif helper is not None:
                found[f"{name}()"] = helper.value
        return found

    def units(self) -> Iterator[Unit]:
        seen: dict[str, int] = {}
        for unit in self._named("", self.tree.body, ()):
            seen[unit.name] = seen.get(unit.name, 0) + 1
            number = f"#{seen[unit.name]}" if seen[unit.name] > 1 else ""
            yield Unit(name=unit.name + number, body=unit.body, source=unit.source, classes=unit.classes)

    def folded(self, unit: Unit) -> tuple[list[ast.stmt], list[str]]:
        """The statements of a unit that Linux has, and what its dead branches leave behind."""
        fold = Fold(self.names(unit.classes), self.package)
        return fold.block(unit.body), fold.notes

    def _named(self, prefix: str, body: Sequence[ast.stmt], classes: tuple[Scope, ...]) -> Iterator[Unit]:
        rest: list[ast.stmt] = []
        for node in body:
            source = self._sources.get(id(node), "")
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield Unit(name=prefix + node.name, body=(node,), source=source, classes=classes)
                rest.append(_mark(node))
            elif isinstance(node, ast.ClassDef):
                inner = scope_of_body("class", node.body, self.package)
                yield from self._named(f"{prefix}{node.name}.", node.body, (*classes, inner))
                rest.append(_head(node))
            else:
                rest.append(node)
        yield Unit(name=prefix + BODY, body=tuple(rest), classes=classes)

    def _source_of(self, body: Sequence[ast.stmt]) -> Iterator[tuple[int, str]]:
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                yield id(node), "\n".join(self._lines[first - 1 : node.end_lineno])
            elif isinstance(node, ast.ClassDef):
                yield from self._source_of(node.body)

    def _decided(self, body: Sequence[ast.stmt], decide: Decide) -> list[ast.stmt]:
        """The statements with the tests outside of functions decided, and values that are the platform's."""
        found: list[ast.stmt] = []
        for node in body:
            if isinstance(node, ast.If):
                node.test = decide.test(node.test)
                if is_folded(node.test):
                    taken = node.body if node.test.value else node.orelse
                    found += self._spliced(self._decided(taken, decide))
                    continue
            elif isinstance(node, ast.ClassDef):
                node.body = self._decided(node.body, decide) or [ast.Pass()]
            elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                node.value = decide.expr(node.value)
            elif isinstance(node, ast.FunctionDef) and isinstance(node.body[-1], ast.Return):
                self._helper(node, decide)
            found.append(node)
        return found

    def _spliced(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The branch of a decided test: a new constant in it follows from the platform as well."""
        for node in body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                names = {one.id for one in node.targets if isinstance(one, ast.Name)}
                if not names & self._before:
                    node.value = folded(node.value.value, node.value)
        return body

    @staticmethod
    def _helper(node: ast.FunctionDef, decide: Decide) -> None:
        last = node.body[-1]
        short = len(node.body) <= 2 and not any(  # noqa: PLR2004 - a docstring and the answer
            (node.args.posonlyargs, node.args.args, node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
        )
        if short and isinstance(last, ast.Return) and last.value is not None:
            last.value = decide.expr(last.value)

    def _tested(self) -> frozenset[str]:
        """Every name in a condition: only imports that are used there are looked up."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, (ast.If, ast.IfExp, ast.While, ast.Assert)):
                found |= loaded(node.test)
            elif isinstance(node, ast.BoolOp):
                found |= loaded(node)
        return frozenset(found)


class Siblings:
    """The constants of other modules of a tree that follow from the platform."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._known: dict[str, Mapping[str, object]] = {}

    def constants(self, scope: Scope, used: frozenset[str]) -> dict[str, object]:
        """By dotted name, `()` behind that of a helper: those that `scope` imports under a name in `used`."""
        found: dict[str, object] = {}
        for name, bindings in scope.names.items():
            for dotted in {one.dotted for one in bindings if one.dotted and name in used}:
                module, _, last = dotted.rpartition(".")
                known = self._of(module)
                found |= {
                    f"{module}.{key}": value for key, value in known.items() if key.rstrip("()") == last
                }
                found |= {f"{dotted}.{key}": value for key, value in self._of(dotted).items()}
        return found

    def _of(self, module: str) -> Mapping[str, object]:
        if module not in self._known:
            self._known[module] = {}  # a ring of imports ends here
            self._known[module] = self._read(module)
        return self._known[module]

    def _read(self, module: str) -> Mapping[str, object]:
        name = module.replace(".", "/")
        path = next((one for one in (f"{name}.py", f"{name}/__init__.py") if one in self.files), None)
        text = self.files.text(path) if path is not None else None
        if path is None or text is None or not PLATFORM_WORDS.search(text):
            return {}
        try:
            known = Module(path, text, self).known()
        except (SyntaxError, ValueError):
            return {}
        return {key: value for key, value in known.items() if not isinstance(value, tuple)}


def package_of(path: str) -> str:
    """`vllm.utils` for `vllm/utils/x.py` and for `vllm/utils/__init__.py`."""
    return ".".join(path.split("/")[:-1])


def _declared_global(tree: ast.Module) -> frozenset[str]:
    return frozenset(name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names)


def _mark(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    """Stands where a function is defined: the order of statements and definitions counts."""
    return ast.copy_location(ast.Expr(ast.copy_location(ast.Constant(f"def {node.name}"), node)), node)


def _head(node: ast.ClassDef) -> ast.stmt:
    """A class without what is in it."""
    made = ast.ClassDef(
        name=node.name, bases=node.bases, keywords=node.keywords, body=[ast.Pass()],
        decorator_list=node.decorator_list,
    )  # fmt: skip
    return ast.copy_location(made, node)
