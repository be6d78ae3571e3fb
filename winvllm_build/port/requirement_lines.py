"""Requirement lines of which upstream changed the version and the patch the environment marker."""

from __future__ import annotations

from dataclasses import dataclass

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
    """Upstream's lines with the markers that the patch gives them; None where it does anything else."""
    base = [_line(text) for text in region.base]
    theirs = [_line(text) for text in region.theirs]
    ours = {line.name: line for text in region.ours if (line := _line(text)) is not None}
    if len(base) != len(theirs):
        return None
    markers: dict[str, str] = {}
    for old, new, before, after in zip(base, theirs, region.base, region.theirs, strict=True):
        if before == after:
            continue
        if old is None or new is None or (old.name, old.spec) != (new.name, new.spec):
            return None
        upstream = ours.get(old.name)
        if upstream is None or upstream.marker != old.marker:
            return None
        markers[old.name] = new.marker
    return tuple(_marked(text, markers) for text in region.ours) if markers else None


def _marked(text: bytes, markers: dict[str, str]) -> bytes:
    line = _line(text)
    if line is None or line.name not in markers:
        return text
    return Line(name=line.name, spec=line.spec, marker=markers[line.name], rest=line.rest).text


def _line(text: bytes) -> Line | None:
    """None for a comment, an option, a blank line or anything else."""
    try:
        plain = text.decode("utf-8")
        body, mark, comment = plain.partition(" #")
        ended = body.rstrip()
        wanted = Requirement(ended)
    except (UnicodeDecodeError, InvalidRequirement):
        return None
    spec, _, marker = ended.partition(";")
    rest = body[len(ended) :] + mark + comment
    return Line(name=canonicalize_name(wanted.name), spec=spec.rstrip(), marker=marker.strip(), rest=rest)
