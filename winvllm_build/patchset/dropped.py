"""`[[dropped]]` of `patchset.toml`: patches that were taken out of a set, and why."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from winvllm_build.git import RepoPath
from winvllm_build.manifest_table import Table
from winvllm_build.patchset import advice
from winvllm_build.patchset.paths import path_fault

WORD: Final = re.compile(r"\S+")
TEXT: Final = re.compile(r".+", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """One patch that is no longer there.

    Attributes:
        path: the file it changed.
        layer: where it was.
        target: which source tree it was for.
        reason: why it went, in words.
        since: the tag whose set it was taken out of.
        hazards: what it answered, by the ids of `hazards.toml`.
    """

    path: RepoPath
    layer: str
    reason: str
    since: str
    target: str = advice.MAIN_TARGET
    hazards: tuple[str, ...] = ()

    def serialise(self) -> str:
        """A table in TOML, ready to be put at the end of a manifest."""
        lines = [f"path = {_quoted(self.path)}", f"layer = {_quoted(self.layer)}"]
        if self.target != advice.MAIN_TARGET:
            lines.append(f"target = {_quoted(self.target)}")
        lines += [f"reason = {_quoted(self.reason)}", f"since = {_quoted(self.since)}"]
        if self.hazards:
            lines.append(f"hazards = [{', '.join(_quoted(name) for name in self.hazards)}]")
        return "\n".join(["[[dropped]]", *lines]) + "\n"


def read(root: Table) -> tuple[Dropped, ...]:
    """Every `[[dropped]]` of a manifest; faults are reported to its tables."""
    return tuple(_dropped(table) for table in root.tables("dropped"))


def _dropped(table: Table) -> Dropped:
    path = table.text("path", TEXT, "a path in the source tree")
    fault = path_fault(path) if path else None
    if fault is not None:
        table.report(f"`path` {path!r} {fault}")
    made = Dropped(
        path=RepoPath(path),
        layer=table.text("layer", WORD, "the layer it was in"),
        target=table.optional_text("target", WORD, "a source tree of the set") or advice.MAIN_TARGET,
        reason=table.text("reason", TEXT, "why it was dropped"),
        since=table.text("since", WORD, "the tag whose set it was taken out of"),
        hazards=table.texts("hazards", WORD, "an id of hazards.toml"),
    )
    table.finish()
    return made


def _quoted(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but TOML wants DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
