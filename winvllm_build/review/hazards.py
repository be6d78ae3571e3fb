"""`hazards.toml` of a set: what is known to break vLLM on Windows, and what becomes of each."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.review.header_rules import words_of
from winvllm_build.review.reading import Reading
from winvllm_build.review.rules import Finding, Rule, found

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = "hazards.toml"
PATCHED: Final = "patched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazards:
    """The list of one set: the state and the line of each id."""

    file: Path
    states: Mapping[str, str]
    lines: Mapping[str, int]


def read_list(file: Path) -> tuple[Hazards | None, list[Finding]]:
    """The list, and what is wrong with the file itself; no list where the set has none."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        loaded: dict[str, Any] = tomllib.loads(text)
    except FileNotFoundError:
        return None, []
    except (OSError, ValueError, RecursionError) as error:
        return None, [found(Rule.HAZARD, file, f"it cannot be read: {error}")]
    states = {name: str(entry.get("state")) for name, entry in loaded.items() if isinstance(entry, dict)}
    numbered = {line.strip(): number for number, line in enumerate(text.splitlines(), 1)}
    lines = {name: numbered[f"[{name}]"] for name in states if f"[{name}]" in numbered}
    return Hazards(file=file, states=states, lines=lines), []


def check(known: Hazards, readings: Sequence[Reading]) -> Iterator[Finding]:
    """Hazards that are called patched, which no patch names."""
    named = {name for reading in readings for name in words_of(reading, "Hazards")}
    for name, state in known.states.items():
        if state == PATCHED and name not in named:
            words = f"{name} is called patched, but no patch names it"
            yield found(Rule.HAZARD, known.file, words, known.lines.get(name))
