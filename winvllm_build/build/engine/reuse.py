"""The seam between the gate, which lets edges run, and the store, which knows what need not run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from winvllm_build.build.engine.edge import Edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """An edge that need not run: its output and dependency file are in place; `text` is what it printed."""

    text: bytes


class Reuse(Protocol):
    """What the gate asks before and tells after an edge; called from several threads."""

    def find(self, edge: Edge) -> Replay | None:
        """Put the outputs of an earlier run in place, if command and inputs are the same; None to run it."""

    def begun(self, edge: Edge) -> None:
        """The edge runs now; until `kept` its output is not to be trusted."""

    def keep(self, edge: Edge, text: bytes) -> None:
        """The edge ended well: record its inputs and output; `text` is what it printed."""


class NoReuse:
    """Runs everything, keeps nothing."""

    def find(self, edge: Edge) -> Replay | None:
        del edge
        return None

    def begun(self, edge: Edge) -> None:
        """Nothing to note."""

    def keep(self, edge: Edge, text: bytes) -> None:
        """Nothing to keep."""
