"""What a rule says of a source: which hazard, where, and who gets the place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from winvllm_build.audit.cxx.branches import Sight
from winvllm_build.audit.cxx.source import Source
from winvllm_build.audit.hit import Hit, Reach, State


@dataclass(frozen=True, slots=True)
class Place:
    """One place in a source; `line` counts from 1."""

    hazard: str
    rule: str
    line: int
    sight: Sight
    detail: str = ""

    def hit(self, source: Source) -> Hit:
        """The place as a hit of its file, which may be guarded as a whole."""
        states = {self.sight.state, source.within.state}
        state = next((one for one in (State.DEAD, State.GUARDED) if one in states), State.LIVE)
        text = source.physical[self.line - 1].strip() if self.line <= len(source.physical) else ""
        return Hit(
            hazard=self.hazard, rule=self.rule, path=source.path, line=self.line, text=text, state=state,
            reach=Reach.BUILD, detail="; ".join(part for part in (self.detail, source.note) if part),
        )  # fmt: skip


Rule = Callable[[Source], Iterator[Place]]


def at(source: Source, index: int, hazard: str, rule: str, detail: str = "") -> Place:
    """The place of a token of the row."""
    return Place(hazard, rule, source.row.tokens[index].line, source.sight(index), detail)
