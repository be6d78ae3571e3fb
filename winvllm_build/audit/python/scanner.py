"""Every hazard of the Python files of a tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final

from winvllm_build.audit.collection import uncollected
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Found, Hit, Reach, State
from winvllm_build.audit.python import rule_names
from winvllm_build.audit.python.helpers import Seen, helped
from winvllm_build.audit.python.hot import ROOMS
from winvllm_build.audit.python.module import module_name
from winvllm_build.audit.python.reach import is_corner, reaches
from winvllm_build.audit.python.site import Finding, Rule, Rules, Site, sites
from winvllm_build.audit.python.tree import Kept, read

RULES: Final[Rules] = {
    kind: tuple(rule for room in ROOMS for rule in room.RULES.get(kind, ()))
    for kind in {kind for room in ROOMS for kind in room.RULES}
}
OWN: Final = ("vllm/", "csrc/")


def scan(files: Files) -> Found:
    """Every place in the Python of a tree that breaks on Windows, with what is known to be guarded."""
    with uncollected():
        tree = read(files)
        imported = tree.imported
        seen = [each for kept in _taken(tree.kept) for each in _seen(kept, imported)]
    reach = reaches(tree.paths, tree.edges)
    loadable = any(reach[name] is Reach.START for name in tree.loaders)
    own = tree.for_windows()
    found = tuple(_settled(each, reach, loadable=loadable, own=own) for each in seen)
    return Found(hits=found, blind=tuple(tree.blind), files=len(tree.paths), lines=tree.lines)


def _settled(each: Seen, reach: Mapping[str, Reach], *, loadable: bool, own: AbstractSet[str]) -> Hit:
    """What the rest of the tree says of a place.

    What a corner does inside its functions stays there, also where the start imports it. A module for Windows
    alone knows where it runs. Extensions can be imported once the folders of their DLLs are known.
    """
    hit = each.hit
    name = module_name(hit.path)
    found = Reach.CORNER if each.function and is_corner(hit.path) else reach[name]
    met = name in own or (loadable and hit.rule == "extension-import")
    state = State.GUARDED if met and hit.state is State.LIVE else hit.state
    return replace(hit, reach=found, state=state)


def _taken(kept: list[Kept]) -> Iterator[Kept]:
    """Each once, in their order; a tree that was looked at is given back."""
    kept.reverse()
    while kept:
        yield kept.pop()


def _seen(kept: Kept, imported: AbstractSet[str]) -> Iterator[Seen]:
    module, flow, steps = kept.module, kept.flow, kept.steps
    found = [
        Seen(hit=_hit(site, finding), function=site.place.function.name if site.place.function else "")
        for step in steps
        if module.is_hot(step.node)
        for site in sites(step, module, flow)
        for rule in _rules(site)
        for finding in rule(site)
    ]
    return helped(found, module, steps, flow, imported)


def _rules(site: Site) -> tuple[Rule, ...]:
    """Only names that are not there in setup.py and what it calls; for the rest of it see `audit.config`."""
    own = site.module.path.startswith(OWN)
    return (RULES if own else rule_names.RULES).get(type(site.node), ())


def _hit(site: Site, finding: Finding) -> Hit:
    line: int = getattr(site.node, "lineno", site.statement.lineno)
    return Hit(
        hazard=finding.hazard, rule=finding.rule, path=site.module.path, line=line,
        text=site.module.line(line), state=site.state(finding), reach=Reach.CORNER, detail=finding.detail,
    )  # fmt: skip
