"""What the record of a port (`ported.json`) has to say: every patch of the old set, and nothing open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.patchset import record
from winvllm_build.patchset.manifest import FILE as MANIFEST
from winvllm_build.patchset.record import Decision, Ported, Record
from winvllm_build.review.facts import Facts
from winvllm_build.review.places import Known, search
from winvllm_build.review.rules import Finding, Rule, found

KEPT: Final = (Decision.CARRIED, Decision.RESOLVED)
"""Decisions after which there is a patch."""


def check(facts: Facts) -> Iterator[Finding]:
    """Every rule about the record, where the set was ported at all."""
    file = facts.folder / record.FILE
    try:
        made = record.read(file)
    except (PatchError, OSError, RecursionError) as error:
        words = error.message if isinstance(error, PatchError) else f"it cannot be read: {error}"
        yield found(Rule.RECORD, file, words.removeprefix(f"{file} "))
        return
    if made is None:
        return
    if made.new != facts.folder.name:
        yield found(Rule.RECORD, file, f"it is about a port to {made.new}")
        return
    yield from _unaccounted(facts, file, made)
    for entry in made.patches:
        yield from _undecided(facts, file, entry)


def _unaccounted(facts: Facts, file: Path, made: Record) -> Iterator[Finding]:
    folder = facts.folder.parent / made.old
    if not made.old or folder.parent != facts.folder.parent or not (folder / MANIFEST).is_file():
        return  # the old set is not here; nothing can be compared
    said = {(entry.target, entry.layer, entry.path) for entry in made.patches}
    for place in search(folder, Known(layers=None, targets=None)).places:
        if (place.target, place.layer, place.path) not in said:
            words = f"{place.path} of {made.old} ({place.layer}) is not in it"
            yield found(Rule.UNACCOUNTED, file, words)


def _undecided(facts: Facts, file: Path, entry: Ported) -> Iterator[Finding]:
    if entry.decision is Decision.OPEN:
        yield found(Rule.OPEN, file, f"{entry.path} ({entry.layer}) is open")
        return
    here = {(reading.place.target, reading.place.path) for reading in facts.readings}
    gone = {(one.target, one.path) for one in facts.rules.dropped} if facts.rules else set()
    to = entry.path if entry.to is None else entry.to
    if entry.decision in KEPT and facts.rules is not None and (entry.target, to) not in here | gone:
        words = f"{entry.path} was {entry.decision.value} to {to}, but neither a patch nor [[dropped]] has it"
        yield found(Rule.UNACCOUNTED, file, words)
