"""What the header of a patch has to say, and what it must not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from winvllm_build.patchset import header as headers
from winvllm_build.patchset.diff import Change, Hunk
from winvllm_build.review import releases
from winvllm_build.review.reading import Reading
from winvllm_build.review.rules import Finding, Rule, found
from winvllm_build.suggest import did_you_mean

GUARDS: Final = ("guarded", "neutral", "new file")
NO_HAZARD: Final = "-"
REACHED: Final = re.compile(r"(Backport|Accepted) \[(.+)\]", re.DOTALL)
OLDEST_PENDING: Final = 2
"""Releases after which somebody should have decided."""
FEWEST_WORDS: Final = 2
HUNK: Final = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the set around a patch knows; None where it could not be read.

    Attributes:
        tag: the set's.
        tags: every set beside it.
        topics: the manifest's.
        hazards: the state of each id in `hazards.toml`.
    """

    tag: str
    tags: tuple[str, ...]
    topics: tuple[str, ...] | None
    hazards: Mapping[str, str] | None


def check(reading: Reading, around: Surroundings) -> Iterator[Finding]:
    """Every rule about one header."""
    yield from _complete(reading)
    yield from _upstream_status(reading, around)
    yield from _since(reading, around)
    yield from _topics(reading, around)
    yield from _hazards(reading, around)
    yield from _guard(reading)
    yield from _dropped(reading)
    yield from _notes(reading)


def words_of(reading: Reading, name: str) -> list[str]:
    """A field that lists names, separated by commas or blanks."""
    return (reading.header.get(name) or "").replace(",", " ").split()


def _complete(reading: Reading) -> Iterator[Finding]:
    file = reading.place.file
    for name in headers.MANDATORY:
        if not (reading.header.get(name) or "").strip():
            yield found(Rule.MISSING_FIELD, file, f"the field {name} is missing", reading.line_of(name) or 1)
    for placed in reading.fields:
        if re.search(rf"\b{headers.TODO}\b", placed.field.value):
            words = f"the field {placed.field.name} still says {headers.TODO}"
            yield found(Rule.TODO, file, words, placed.line)


def _upstream_status(reading: Reading, around: Surroundings) -> Iterator[Finding]:
    file, line = reading.place.file, reading.line_of("Upstream-Status")
    status = (reading.header.get("Upstream-Status") or "").strip()
    if not status or re.search(rf"\b{headers.TODO}\b", status):
        return
    if not headers.UPSTREAM_STATUS.fullmatch(status):
        yield found(Rule.STATUS, file, f"{status!r} is no status", line)
        return
    reached, now = REACHED.fullmatch(status), releases.version_of(around.tag)
    if reached is None:
        return
    named = releases.named_in(reached[2])
    if reached[1] == "Accepted" and not named:
        yield found(Rule.STATUS_TAG, file, f"{status!r} names no tag", line)
    if named and now is not None and min(named) <= now:
        yield found(Rule.GONE, file, f"{status}: this set is for {around.tag}", line)


def _since(reading: Reading, around: Surroundings) -> Iterator[Finding]:
    file, since = reading.place.file, (reading.header.get("Since") or "").strip()
    first, now = releases.version_of(since), releases.version_of(around.tag)
    if not since or now is None:
        return
    if first is None or first > now:
        words = "no tag" if first is None else f"newer than {around.tag}"
        yield found(Rule.SINCE, file, f"Since: {since} is {words}", reading.line_of("Since"))
        return
    status = (reading.header.get("Upstream-Status") or "").strip()
    waited = releases.age(first, now, around.tags)
    if status.startswith("Pending") and waited > OLDEST_PENDING:
        words = f"Pending since {since}, {waited} releases ago"
        yield found(Rule.PENDING, file, words, reading.line_of("Upstream-Status"))


def _topics(reading: Reading, around: Surroundings) -> Iterator[Finding]:
    for name in words_of(reading, "Topic"):
        if around.topics is not None and name not in around.topics:
            words = f"unknown topic {name}{did_you_mean(name, around.topics)}"
            yield found(Rule.TOPIC, reading.place.file, words, reading.line_of("Topic"))


def _hazards(reading: Reading, around: Surroundings) -> Iterator[Finding]:
    file, line = reading.place.file, reading.line_of("Hazards")
    for name in words_of(reading, "Hazards"):
        if around.hazards is None or name == NO_HAZARD:
            continue
        if name not in around.hazards:
            words = f"hazards.toml has no {name}{did_you_mean(name, around.hazards)}"
            yield found(Rule.HAZARD, file, words, line)
        elif around.hazards[name] != "patched":
            yield found(Rule.HAZARD, file, f"hazards.toml calls {name} {around.hazards[name]}", line)


def _guard(reading: Reading) -> Iterator[Finding]:
    guard = reading.header.get("Guard")
    if guard is None:
        return
    kind = " ".join(guard.split()).partition(" - ")[0]
    file, line = reading.place.file, reading.line_of("Guard")
    if any(word not in GUARDS for word in kind.split(" + ")):
        yield found(Rule.GUARD, file, f"{kind[:60]!r} is none of {', '.join(GUARDS)}", line)
    elif "new file" in kind and reading.diff is not None and reading.diff.change is not Change.ADDED:
        yield found(Rule.GUARD, file, "it says `new file`, but the file is upstream's", line)


def _dropped(reading: Reading) -> Iterator[Finding]:
    file, ids = reading.place.file, {hunk.id for hunk in _hunks(reading)}
    for placed in reading.fields:
        if placed.field.name != "Dropped":
            continue
        words = placed.field.value.split()
        if words and HUNK.fullmatch(words[0]) and words[0] in ids:
            yield found(Rule.DROPPED, file, f"the hunk {words[0]} is not dropped, it is here", placed.line)
        elif len(words) < FEWEST_WORDS:
            yield found(Rule.DROPPED, file, "it does not say what was dropped and why", placed.line)


def _notes(reading: Reading) -> Iterator[Finding]:
    file, ids = reading.place.file, {hunk.id for hunk in _hunks(reading)}
    for number, note in enumerate(reading.header.notes):
        if reading.diff is not None and note.hunk not in ids:
            words = f"the note {note.hunk} names no hunk: {note.why.splitlines()[0][:60]}"
            yield found(Rule.NOTE, file, words, reading.line_of("Hunk", nth=number))
    for number, note in enumerate(reading.header.orphans):
        words = f"the hunk {note.hunk} is gone: {note.why.splitlines()[0][:60]}"
        yield found(Rule.ORPHAN, file, words, reading.line_of("Orphan", nth=number))


def _hunks(reading: Reading) -> tuple[Hunk, ...]:
    return () if reading.diff is None else reading.diff.hunks
