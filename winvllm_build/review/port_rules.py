"""What the record of a port (`ported.json`) has to say: every patch of the old set, and nothing open."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.manifest import FILE as MANIFEST
from winvllm_build.patchset.patchset import MAIN_TARGET
from winvllm_build.review.places import Known, search
from winvllm_build.review.rules import Finding, Rule, found
from winvllm_build.review.set_rules import Facts

FILE: Final = "ported.json"
OPEN: Final = "open"
KEPT: Final = ("carried", "resolved")
"""Decisions after which there is a patch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one patch of the old set; `to` is its path in the new one."""

    target: str
    layer: str
    path: str
    to: str
    decision: str


def check(facts: Facts) -> Iterator[Finding]:
    """Every rule about the record, where the set was ported at all."""
    file = facts.folder / FILE
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError) as error:
        yield found(Rule.RECORD, file, f"it cannot be read: {error}")
        return
    if not isinstance(data, dict) or not isinstance(data.get("from"), str):
        yield found(Rule.RECORD, file, "it does not say which set was ported")
        return
    if data.get("to") != facts.folder.name:
        yield found(Rule.RECORD, file, f"it is about a port to {data.get('to')!r}")
        return
    entries = list(entries_of(data))
    yield from _unaccounted(facts, file, data["from"], entries)
    for entry in entries:
        yield from _undecided(facts, file, entry)


def entries_of(data: object, around: Mapping[str, Any] | None = None) -> Iterator[Entry]:
    """Everything in a record that has a path and a decision; target and layer may stand around it."""
    if isinstance(data, list):
        for item in data:
            yield from entries_of(item, around)
    elif isinstance(data, dict):
        here = {**(around or {}), **{key: data[key] for key in ("target", "layer") if key in data}}
        if isinstance(data.get("path"), str) and "decision" in data:
            yield Entry(
                target=str(here.get("target", MAIN_TARGET)), layer=str(here.get("layer", DEFAULT_LAYER.name)),
                path=data["path"], to=str(data.get("to") or data["path"]), decision=str(data["decision"]),
            )  # fmt: skip
            return
        for value in data.values():
            yield from entries_of(value, here)


def _unaccounted(facts: Facts, file: Path, old: str, entries: list[Entry]) -> Iterator[Finding]:
    folder = facts.folder.parent / old
    if not old or folder.parent != facts.folder.parent or not (folder / MANIFEST).is_file():
        return  # the old set is not here; nothing can be compared
    said = {(entry.target, entry.layer, entry.path) for entry in entries}
    for place in search(folder, Known(layers=None, targets=None)).places:
        if (place.target, place.layer, place.path) not in said:
            yield found(Rule.UNACCOUNTED, file, f"{place.path} of {old} ({place.layer}) is not in it")


def _undecided(facts: Facts, file: Path, entry: Entry) -> Iterator[Finding]:
    if entry.decision == OPEN:
        yield found(Rule.OPEN, file, f"{entry.path} ({entry.layer}) is open")
        return
    here = {(reading.place.target, reading.place.path) for reading in facts.readings}
    gone = {(one.target, one.path) for one in facts.rules.dropped} if facts.rules else set()
    key = (entry.target, entry.to)
    if entry.decision in KEPT and facts.rules is not None and key not in here | gone:
        words = f"{entry.path} was {entry.decision} to {entry.to}, but neither a patch nor [[dropped]] has it"
        yield found(Rule.UNACCOUNTED, file, words)
