"""Two versions of a Python module compared as Linux executes them."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from winvllm_build.audit.guard.judgement import Confirmed, Ground, View
from winvllm_build.audit.guard.python_decide import is_text
from winvllm_build.audit.guard.python_grounds import Side, with_equal_meaning
from winvllm_build.audit.guard.python_module import BODY, WORD, Module, Siblings, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """One unit: what differs, what of it no ground covers, and the grounds."""

    changes: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    grounds: tuple[Confirmed, ...] = ()


def view(path: str, before: str, after: str, old: Siblings, new: Siblings) -> View:
    """How Linux sees the change of a module.

    Args:
        path: where it is in the tree.
        before: the source as it was.
        after: the source as the patch makes it.
        old: the other modules without the patch, for constants that are imported.
        new: the other modules with it.
    """
    try:
        first = Module(path, before, old)
        second = Module(path, after, new, before=frozenset(first.scope.names))
    except (SyntaxError, ValueError) as error:
        return View.of((), left=(f"cannot be read as Python: {error}",))
    compared = list(_compare(first, second))
    return View.of(
        [ground for one in compared for ground in one.grounds],
        [change for one in compared for change in one.changes],
        left=[change for one in compared for change in one.left],
    )


def _compare(old: Module, new: Module) -> Iterator[_Compared]:
    before = {unit.name: unit for unit in old.units()}
    after = {unit.name: unit for unit in new.units()}
    differing = _different_names(old, new)
    for name, unit in before.items():
        other = after.get(name)
        if other is None:
            yield _Compared(changes=(f"{name}: removed",), left=(f"{name}: removed",))
        elif not unit.source or unit.source != other.source or differing & set(WORD.findall(unit.source)):
            yield _unit(old, unit, new, other)
    added = {name: unit for name, unit in after.items() if name not in before}
    yield from _added(added, new)


def _different_names(old: Module, new: Module) -> set[str]:
    """Names of the module for which the platform says something else in the two versions."""
    before, after = old.known(), new.known()
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return {name.rstrip("()") for name in names}


def _unit(old: Module, one: Unit, new: Module, other: Unit) -> _Compared:
    (body, notes), (other_body, other_notes) = old.folded(one), new.folded(other)
    if one.name.endswith(BODY):
        other_body = [node for node in other_body if not _is_new_mark(node, body)]
    sides = Side(old, one, body), Side(new, other, other_body)
    texts = [side.text() for side in sides]
    noted = [f"{one.name}: {words}" for words in other_notes if words not in notes]
    if texts[0] == texts[1]:
        return _Compared(changes=tuple(noted), left=tuple(noted))
    first, second, grounds = with_equal_meaning(*(side.copied() for side in sides))
    if one.name == BODY:
        grounds += _without_unused(first, second, new)
    left = [*_lines(one.name, first.text(), second.text()), *noted]
    changes = _lines(one.name, *texts)
    return _Compared(changes=tuple(changes), left=tuple(left), grounds=tuple(grounds))


def _is_new_mark(node: ast.stmt, before: Iterable[ast.stmt]) -> bool:
    """Whether it stands for a function that is new, about which `_added` has its say."""
    return is_text(node) and ast.unparse(node) not in {ast.unparse(one) for one in before}


def _lines(name: str, before: str, after: str) -> list[str]:
    """`where: -statement` and `where: +statement`."""
    lines = difflib.unified_diff(before.split("\n"), after.split("\n"), lineterm="", n=0)
    return [
        f"{name}: {line[0]}{line[1:].strip()}"
        for line in lines
        if line[0] in "+-" and not line.startswith(("---", "+++"))
    ]


def _added(added: dict[str, Unit], new: Module) -> Iterator[_Compared]:
    """Functions and classes that are new: nothing on Linux may use them, and making them may do nothing."""
    if not added:
        return
    used = _used(new, skip=set(added))
    for name, unit in added.items():
        top = name.partition(".")[0].partition("#")[0]
        body, _ = new.folded(unit)
        lines = "\n".join(ast.unparse(ast.fix_missing_locations(node)) for node in body).split("\n")
        told = tuple(f"{name}: +{line.strip()}" for line in lines if line)
        if top == name and top not in used and all(_does_nothing(node) for node in body):
            ground = Confirmed(ground=Ground.UNUSED, detail=name)
            yield _Compared(changes=told, grounds=(ground,))
        else:
            yield _Compared(changes=told, left=told[:1] or (f"{name}: added",))


def _does_nothing(node: ast.stmt) -> bool:
    """Executing a definition only binds its name: no decorator, and constants as defaults."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        defaults = [*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
        return not node.decorator_list and all(isinstance(one, ast.Constant) for one in defaults)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return isinstance(node.value, ast.Constant) and all(isinstance(one, ast.Name) for one in targets)
    return False


def _used(module: Module, skip: set[str]) -> set[str]:
    """Every name that the module mentions on Linux outside of the units `skip`."""
    found: set[str] = set()
    for unit in module.units():
        if unit.name not in skip:
            found |= _mentioned(module.folded(unit)[0])
    return found


def _mentioned(body: Iterable[ast.stmt]) -> set[str]:
    """Names that are read, attributes, and words of texts: `__all__`, `getattr`."""
    found: set[str] = set()
    for node in body:
        for part in ast.walk(node):
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
                found.add(part.id)
            elif isinstance(part, ast.Attribute):
                found.add(part.attr)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                found.add(part.value)
    return found


def _without_unused(old: Side, new: Side, module: Module) -> list[Confirmed]:
    """Take added assignments of constants out of the module's body whose names Linux does not use."""
    had = {ast.unparse(node) for node in old.body}
    added = [node for node in new.body if ast.unparse(node) not in had and _does_nothing(node)]
    if not added:
        return []
    used = _used(module, skip=set())
    found: list[Confirmed] = []
    for node in added:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = {one.id for one in targets if isinstance(one, ast.Name)}
        if not names & (used | set(old.module.scope.names)):
            new.body.remove(node)
            found += [Confirmed(ground=Ground.UNUSED, detail=name) for name in sorted(names)]
    return found
