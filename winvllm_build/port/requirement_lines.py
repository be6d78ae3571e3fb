"""Requirement lines of which upstream changed the version and the patch the environment marker."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from winvllm_build.port.regions import Region

ALTERNATIVE: Final = re.compile(r"\s+or\s+")
COMPARISON: Final = re.compile(r"""[a-z_]+\s*(?:[=!<>~]=|[<>]|in|not\s+in)\s*(?:"[^"]*"|'[^']*')""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`spec`, marker text and what follows it (comment, line end) of one requirement."""

    name: str
    spec: str
    marker: str
    rest: str

    @property
    def text(self) -> bytes:
        marker = f"; {self.marker}" if self.marker else ""
        return f"{self.spec}{marker}{self.rest}".encode()


def united(region: Region) -> tuple[bytes, ...] | None:
    """Upstream's lines with the markers that the patch gives them.

    Where upstream changed the marker too, both have to be alternatives (`a or b`), so that the patch's can be
    added and taken away. None where the patch does anything else, or where a name occurs twice.
    """
    if len(region.base) != len(region.theirs):
        return None
    ours = [line for text in region.ours if (line := _line(text)) is not None]
    markers: dict[str, str] = {}
    for before, after in zip(region.base, region.theirs, strict=True):
        if before == after:
            continue
        old, new = _line(before), _line(after)
        if old is None or new is None or replace(old, marker="") != replace(new, marker=""):
            return None
        upstream = [line.marker for line in ours if line.name == old.name]
        marker = _combined(old.marker, new.marker, upstream[0]) if len(upstream) == 1 else None
        if marker is None or old.name in markers:
            return None
        markers[old.name] = marker
    return tuple(_marked(text, markers) for text in region.ours) if markers else None


def _marked(text: bytes, markers: dict[str, str]) -> bytes:
    line = _line(text)
    if line is None or line.name not in markers:
        return text
    return replace(line, marker=markers[line.name]).text


def _combined(old: str, new: str, upstream: str) -> str | None:
    """Upstream's marker with what the patch changed; None where both changed the same."""
    if old == upstream:
        return new
    before, after, made = (_alternatives(marker) for marker in (old, new, upstream))
    if before is None or after is None or made is None:
        return None
    kept, gone = [part for part in before if part in after], [part for part in before if part not in after]
    if not set(kept) & set(made) or not set(gone) <= set(made):
        return None
    made = [part for part in made if part not in gone]
    for at, part in enumerate(after):
        if part not in before and part not in made:
            known = [made.index(other) + 1 for other in after[:at] if other in made]
            made.insert(known[-1] if known else 0, part)
    return " or ".join(made) or None


def _alternatives(marker: str) -> list[str] | None:
    """The parts of `a or b`; None for a marker of any other form."""
    parts = ALTERNATIVE.split(marker)
    return parts if all(COMPARISON.fullmatch(part) for part in parts) else None


def _line(text: bytes) -> Line | None:
    """None for anything but a name with versions; an address may hold a semicolon of its own."""
    try:
        plain = text.decode("utf-8")
        body, mark, comment = plain.partition(" #")
        ended = body.rstrip()
        wanted = Requirement(ended)
    except (UnicodeDecodeError, InvalidRequirement):
        return None
    if wanted.url is not None:
        return None
    spec, _, marker = ended.partition(";")
    rest = body[len(ended) :] + mark + comment
    return Line(name=canonicalize_name(wanted.name), spec=spec.rstrip(), marker=marker.strip(), rest=rest)
