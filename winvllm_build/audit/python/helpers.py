"""Functions that are called only where Windows does not get to, or is met."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from winvllm_build.audit.hit import Hit, State
from winvllm_build.audit.python.flow import Flow, Step
from winvllm_build.audit.python.module import Module
from winvllm_build.audit.python.site import sites


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A hit, and the innermost function that it is in; empty at the top of a module or of a class."""

    hit: Hit
    function: str


def helped(
    found: Sequence[Seen], module: Module, steps: Sequence[Step], flow: Flow, imported: AbstractSet[str]
) -> Iterator[Seen]:
    """The same, with the state of its callers for what a function of this file alone does.

    `imported` is everything that some module imports, in dots.
    """
    names = {each.function for each in found if each.function and each.hit.state is State.LIVE}
    names = {name for name in names if module.text.count(name) > 1}
    states = _states(names, module, steps, flow) if names else {}
    for each in found:
        state = states.get(each.function)
        private = f"{module.name}.{each.function}" not in imported
        if each.hit.state is State.LIVE and state is not None and private:
            yield replace(each, hit=replace(each.hit, state=state))
        else:
            yield each


def _states(names: AbstractSet[str], module: Module, steps: Sequence[Step], flow: Flow) -> dict[str, State]:
    """For each function that is used nowhere on Windows, why."""
    used: dict[str, set[State]] = {}
    lines = module.lines
    for step in steps:
        last = min(step.node.end_lineno or step.node.lineno, len(lines))
        if not any(name in line for line in lines[step.node.lineno - 1 : last] for name in names):
            continue
        for site in sites(step, module, flow):
            name = _used(site.node)
            if name in names:
                used.setdefault(name, set()).add(site.place.state)
    return {name: min(states, key=str) for name, states in used.items() if State.LIVE not in states}


def _used(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
