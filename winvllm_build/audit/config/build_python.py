"""Hazards in the Python programs that run the build: setup.py, and what it or CMake calls."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from winvllm_build.audit.config.places import Places
from winvllm_build.audit.config.python_rules import RULES, Trace
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind, Found, Hit, Reach, State
from winvllm_build.audit.python.facts import Facts
from winvllm_build.audit.python.flow import Flow, Step
from winvllm_build.audit.python.module import Module, parse
from winvllm_build.audit.python.site import Site, sites

TOP: Final = "setup.py"
GATE: Final = "D60"
HELPERS: Final = re.compile(r"(?:tools|cmake)/[\w/]+\.py")


def scan(files: Files) -> Found:
    places = Places(files)
    hits: list[Hit] = []
    blind: list[Blind] = []
    paths = _programs(files)
    for path in paths:
        text = files.text(path) or ""
        try:
            module = parse(path, text)
        except (SyntaxError, ValueError, RecursionError) as error:
            blind.append(Blind(path=path, why=f"not parsed: {error}"))
            continue
        hits += _hits(module, places)
    lines = sum((files.text(path) or "").count("\n") for path in paths)
    return Found(hits=tuple(hits), blind=tuple(blind), files=len(paths), lines=lines)


def _programs(files: Files) -> list[str]:
    """setup.py, and the helpers that it or a CMake file names."""
    callers = [path for path in files.names if path == TOP or path.endswith((".cmake", "CMakeLists.txt"))]
    named = "\n".join(files.text(path) or "" for path in callers)
    helpers = [path for path in files.names if HELPERS.fullmatch(path) and posixpath.basename(path) in named]
    return [*([TOP] if TOP in files else []), *helpers]


def _hits(module: Module, places: Places) -> Iterator[Hit]:
    facts = Facts()
    facts.learn(module)
    flow = Flow(module, facts)
    steps = list(flow.steps())
    for step in steps:
        for site in sites(step, module, flow):
            for rule in RULES.get(type(site.node), ()):
                for trace in rule(site):
                    yield _hit(site, trace, steps, places)


def _hit(site: Site, trace: Trace, steps: Sequence[Step], places: Places) -> Hit:
    state = State.DEAD if trace.other else site.state(trace.finding)
    written = site.place.windows and trace.finding.hazard != GATE
    if state is State.LIVE and (written or _answered(site) or _repaired(site, trace, steps)):
        state = State.GUARDED
    line: int = trace.line or getattr(site.node, "lineno", site.statement.lineno)
    found = trace.finding
    reach = Reach.CORNER if _is_optional(site) else Reach.BUILD
    return places.hit(
        found.hazard, found.rule, site.module.path, line, state=state, reach=reach, detail=found.detail
    )


def _is_optional(site: Site) -> bool:
    """Only wheels that others have built are taken apart there, on request."""
    names = [getattr(one, "name", "") for one in site.place.inside]
    own = _targets(site.statement)
    return any("precompiled" in name.lower() for name in (*names, *own))


def _answered(site: Site) -> bool:
    """An `if` for Windows stands before the `elif` or `else` that this is in."""
    path = [*site.place.inside, site.statement]
    return any(
        isinstance(outer, ast.If) and inner in outer.orelse and "win32" in ast.unparse(outer.test)
        for outer, inner in pairwise(path)
    )


def _repaired(site: Site, trace: Trace, steps: Sequence[Step]) -> bool:
    """A later statement of the function, for Windows alone, changes what this one has put in a variable."""
    names = _targets(site.statement)
    return bool(trace.repair) and any(
        step.place.windows
        and step.place.function is site.place.function
        and step.node.lineno > site.statement.lineno
        and names & _targets(step.node)
        and re.search(trace.repair, ast.unparse(step.node))
        for step in steps
    )


def _targets(statement: ast.stmt) -> set[str]:
    """The variables that a statement sets or changes."""
    found: list[ast.expr] = []
    match statement:
        case ast.Assign(targets=targets):
            found = targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            found = [target]
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=value))):
            found = [value]
        case _:
            pass
    names = {node.id for one in found for node in ast.walk(one) if isinstance(node, ast.Name)}
    return names - {"self"}
