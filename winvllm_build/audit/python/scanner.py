"""Every hazard of the Python files of a tree."""

from __future__ import annotations

import ast
import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final

from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind, Found, Hit, Reach
from winvllm_build.audit.python import rule_names
from winvllm_build.audit.python.facts import Facts
from winvllm_build.audit.python.flow import Flow
from winvllm_build.audit.python.imports import Edge, aliases, all_aliases, edges
from winvllm_build.audit.python.module import Module, module_name, parse
from winvllm_build.audit.python.posix import modules, names
from winvllm_build.audit.python.reach import reaches
from winvllm_build.audit.python.site import Finding, Rules, Site, sites

FOLDERS: Final = ("vllm", "csrc", "cmake", "tools")
ROOMS: Final = (rule_names,)
RULES: Final[Rules] = {
    kind: tuple(rule for room in ROOMS for rule in room.RULES.get(kind, ()))
    for kind in {kind for room in ROOMS for kind in room.RULES}
}
IMPORTS: Final = (ast.Import, ast.ImportFrom)


@cache
def _words() -> tuple[str, ...]:
    return tuple(sorted({word for room in ROOMS for word in room.WORDS}))


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What a file contains that uses a module, and how to find what it uses of it."""
    uses = [
        (f"{owner}.", re.compile(rf"{re.escape(owner)}\.({'|'.join(known)})\b"))
        for owner, known in names().items()
    ]
    froms = [(f"from {owner} ", re.compile(rf"from {re.escape(owner)} ")) for owner in names()]
    renamed = [(f"import {owner} as ", re.compile("")) for owner in names()]
    posix = [(name, re.compile(rf"(?:import|from) +{re.escape(name)}\b")) for name in modules()]
    return (*uses, *froms, *renamed, *posix)


def _interesting(text: str) -> bool:
    """A file without one of these words has no hazard of these rules."""
    return (
        not text.isascii()
        or any(word in text for word in _words())
        or any(start in text and pattern.search(text) for start, pattern in _patterns())
    )


@dataclass(kw_only=True)
class _Tree:
    """What is kept of all files while they are read one by one."""

    facts: Facts = field(default_factory=Facts)
    kept: list[Module] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)
    edges: dict[str, tuple[Edge, ...]] = field(default_factory=dict)
    blind: list[Blind] = field(default_factory=list)
    lines: int = 0


def scan(files: Files) -> Found:
    """Every place in the Python of a tree that breaks on Windows, with what is known to be guarded."""
    with _uncollected():
        tree = _read(files)
        hits = [hit for module in tree.kept for hit in _hits(module, tree)]
    reach = reaches(tree.paths, tree.edges)
    found = tuple(_reached(hit, reach) for hit in hits)
    return Found(hits=found, blind=tuple(tree.blind), files=len(tree.paths), lines=tree.lines)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Syntax trees have no cycles; looking for some takes a third of the time."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def _read(files: Files) -> _Tree:
    """Parse every file once; only those with something to look at are kept."""
    tree = _Tree()
    paths = [path for path in files.names if path.endswith(".py") and _belongs(path)]
    files.fetch(paths)
    for path in paths:
        _take(path, files.text(path) or "", tree)
    for module in tree.kept:
        _link(module, tree)
    return tree


def _belongs(path: str) -> bool:
    return "/" not in path or path.startswith(tuple(f"{folder}/" for folder in FOLDERS))


def _take(path: str, text: str, tree: _Tree) -> None:
    try:
        module = parse(path, text)
    except (SyntaxError, ValueError, RecursionError) as error:
        tree.blind.append(Blind(path=path, why=f"not parsed: {error}"))
        return
    tree.lines += text.count("\n")
    tree.paths[module.name] = path
    module.aliases = all_aliases(module)
    tree.facts.learn(module)
    if _interesting(text):
        tree.kept.append(module)
    else:
        _link(module, tree)


def _link(module: Module, tree: _Tree) -> None:
    """What the module imports, and what its names stand for on Windows."""
    steps = [step for step in Flow(module, tree.facts).steps() if isinstance(step.node, IMPORTS)]
    tree.edges[module.name] = tuple(edges(module, steps))
    module.aliases = aliases(module, steps)


def _hits(module: Module, tree: _Tree) -> Iterator[Hit]:
    flow = Flow(module, tree.facts)
    for step in flow.steps():
        for site in sites(step, module, flow):
            for rule in RULES.get(type(site.node), ()):
                for finding in rule(site):
                    yield _hit(site, finding)


def _hit(site: Site, finding: Finding) -> Hit:
    line: int = getattr(site.node, "lineno", site.statement.lineno)
    return Hit(
        hazard=finding.hazard, rule=finding.rule, path=site.module.path, line=line,
        text=site.module.line(line), state=site.state(finding), reach=Reach.CORNER, detail=finding.detail,
    )  # fmt: skip


def _reached(hit: Hit, reach: Mapping[str, Reach]) -> Hit:
    return replace(hit, reach=reach[module_name(hit.path)])
