"""Requirement lines of which upstream changed the version and the patch the environment marker."""

from __future__ import annotations

from dataclasses import dataclass, replace

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from winvllm_build.port.regions import Region


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

    None where the patch does anything else, where upstream's marker is another one than it was, or where a
    name occurs twice.
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
        upstream = [line for line in ours if line.name == old.name]
        if old.name in markers or [line.marker for line in upstream] != [old.marker]:
            return None
        markers[old.name] = new.marker
    return tuple(_marked(text, markers) for text in region.ours) if markers else None


def _marked(text: bytes, markers: dict[str, str]) -> bytes:
    line = _line(text)
    if line is None or line.name not in markers:
        return text
    return replace(line, marker=markers[line.name]).text


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
