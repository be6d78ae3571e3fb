"""What is left of the hits once the set's suppressions are taken off, by place and by hazard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from winvllm_build.audit.hazard import Hazard, Severity, catalogue, rank
from winvllm_build.audit.hit import Hit, Reach, State
from winvllm_build.audit.subject import Subject
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.review import suppressions
from winvllm_build.review.suppressions import Fault, Suppression

SEVERITIES: Final = tuple(Severity)
REACHES: Final = tuple(Reach)
STATES: Final = tuple(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A hit, and the entry that suppresses it."""

    hit: Hit
    suppression: Suppression | None = None

    @property
    def hazard(self) -> Hazard:
        return catalogue()[self.hit.hazard]

    @property
    def is_left(self) -> bool:
        """Whether Windows meets it and nobody says that it may."""
        return self.hit.state is State.LIVE and self.suppression is None

    @property
    def fails(self) -> bool:
        """Whether it fails the check."""
        return self.is_left and self.hazard.severity is not Severity.ADVISORY


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which places are asked for; an empty field admits all."""

    hazards: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    reaches: tuple[Reach, ...] = ()

    def admits(self, hit: Hit) -> bool:
        return (
            (not self.hazards or hit.hazard in self.hazards)
            and (not self.paths or any(fnmatchcase(hit.path, pattern) for pattern in self.paths))
            and (not self.severities or catalogue()[hit.hazard].severity in self.severities)
            and (not self.reaches or hit.reach in self.reaches)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The places of one hazard; `files` are those with a place that is left."""

    hazard: Hazard
    live: int
    suppressed: int
    guarded: int
    dead: int
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Every place, the most severe and most reachable first, and what is wrong with the suppressions."""

    places: tuple[Place, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def left(self) -> tuple[Place, ...]:
        return tuple(place for place in self.places if place.is_left)

    @property
    def failing(self) -> tuple[Place, ...]:
        return tuple(place for place in self.places if place.fails)

    @property
    def is_clean(self) -> bool:
        return not self.faults and not self.failing

    def of(self, selection: Selection) -> Coverage:
        """The places that are asked for; what is wrong with the suppressions stays."""
        return replace(self, places=tuple(place for place in self.places if selection.admits(place.hit)))

    def tallies(self) -> tuple[Tally, ...]:
        """By hazard: those with places that are left first, the most severe first, then by id."""
        by_hazard: dict[str, list[Place]] = {}
        for place in self.places:
            by_hazard.setdefault(place.hit.hazard, []).append(place)
        found = [_tally(catalogue()[name], places) for name, places in by_hazard.items()]
        return tuple(
            sorted(found, key=lambda t: (not t.live, SEVERITIES.index(t.hazard.severity), rank(t.hazard.id)))
        )


def cover(subject: Subject, hits: Iterable[Hit]) -> Coverage:
    """The hits of a tree; suppressions are part of a set, so they count where one is applied."""
    if not subject.layers or subject.set_folder is None:
        return judge(hits, (), ())
    file = subject.set_folder / suppressions.FILE
    entries, faults = suppressions.read(file, catalogue())
    counting = [entry for entry in entries if entry.counts(subject.layers)]
    made = judge(hits, counting, faults)
    used = {id(entry) for place in made.places for entry in counting if covers(entry, place.hit)}
    optional = tuple(name for name in subject.layers if name != DEFAULT_LAYER.name)
    expected = [entry for entry in counting if entry.layer or not optional]
    stale = [suppressions.stale(file, entry) for entry in expected if id(entry) not in used]
    return replace(made, faults=(*faults, *stale))


def covers(entry: Suppression, hit: Hit) -> bool:
    """Whether an entry is about this hit; one that Windows never gets to see needs none."""
    return hit.state is State.LIVE and entry.covers(hit.hazard, hit.path, hit.text)


def judge(hits: Iterable[Hit], entries: Sequence[Suppression], faults: Sequence[Fault]) -> Coverage:
    """Each hit with the first entry that suppresses it."""
    by_hazard: dict[str, list[Suppression]] = {}
    for entry in entries:
        by_hazard.setdefault(entry.hazard, []).append(entry)
    places = [
        Place(hit=hit, suppression=next((e for e in by_hazard.get(hit.hazard, ()) if covers(e, hit)), None))
        for hit in hits
    ]
    return Coverage(places=tuple(sorted(places, key=_order)), faults=tuple(faults))


def _order(place: Place) -> tuple[int, int, int, tuple[str, int], str, int, str]:
    hit = place.hit
    return (
        STATES.index(hit.state), SEVERITIES.index(place.hazard.severity), REACHES.index(hit.reach),
        rank(hit.hazard), hit.path, hit.line, hit.rule,
    )  # fmt: skip


def _tally(hazard: Hazard, places: Sequence[Place]) -> Tally:
    left = [place for place in places if place.is_left]
    return Tally(
        hazard=hazard, live=len(left), suppressed=sum(place.suppression is not None for place in places),
        guarded=sum(place.hit.state is State.GUARDED for place in places),
        dead=sum(place.hit.state is State.DEAD for place in places),
        files=len({place.hit.path for place in left}),
    )  # fmt: skip
