"""Outcomes kept between runs: found by what a unit was read from, or by its preprocessed text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.audit.frontend.outcome import Outcome, from_data
from winvllm_build.workspace import write_atomic

FORMAT: Final = 1
"""Raised when the same text gets another outcome: other options, other rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A folder of outcomes; `tools` names the versions of everything, without which nothing is found."""

    folder: Path
    tools: str

    def by_inputs(self, key: str) -> Outcome | None:
        """The outcome of a unit none of whose files changed since; without preprocessing it again."""
        entry = _load(self._inputs(key))
        if entry is None or any(_stamp(Path(name)) != stamp for name, stamp in entry["inputs"].items()):
            return None
        return self.by_text(entry["text"])

    def by_text(self, text: str) -> Outcome | None:
        """The outcome of the same text under the same options."""
        entry = _load(self._text(text))
        try:
            return None if entry is None else from_data(entry)
        except (KeyError, TypeError, ValueError):
            return None

    def keep(self, text: str, outcome: Outcome) -> None:
        write_atomic(self._text(text), json.dumps(outcome.as_data()).encode())

    def note(self, key: str, text: str, inputs: Sequence[Path]) -> None:
        """Remember which files a unit was read from."""
        stamps = {str(file): _stamp(file) for file in inputs}
        write_atomic(self._inputs(key), json.dumps({"text": text, "inputs": stamps}).encode())

    def inputs(self, key: str) -> frozenset[str]:
        """The files that a unit was read from; none where it is unknown."""
        return frozenset((_load(self._inputs(key)) or {}).get("inputs", {}))

    def key(self, words: Sequence[str]) -> str:
        """Names a command line."""
        return hashlib.sha256("\0".join([str(FORMAT), self.tools, *words]).encode()).hexdigest()

    def _inputs(self, key: str) -> Path:
        return self.folder / "inputs" / f"{key}.json"

    def _text(self, text: str) -> Path:
        return self.folder / "outcomes" / f"{text}.json"


def _load(file: Path) -> dict[str, Any] | None:
    try:
        loaded: dict[str, Any] = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return loaded


def _stamp(file: Path) -> list[int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
