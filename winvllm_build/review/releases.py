"""Tags as releases: which is newer, and how many lie between two."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from packaging.version import InvalidVersion, Version

NAMED: Final = re.compile(r"(?<![\w.])v(\d+(?:\.\d+)+(?:(?:rc|a|b|\.post|\.dev)\d+)?)(?![\w.]*\w)")
"""A tag inside other words; one without its `v` could be anything."""


def version_of(tag: str) -> Version | None:
    """The version a tag names, or None."""
    try:
        return Version(tag)
    except InvalidVersion:
        return None


def named_in(words: str) -> tuple[Version, ...]:
    """The tags that a sentence or address names."""
    return tuple(Version(match[1]) for match in NAMED.finditer(words))


def age(since: Version, now: Version, known: Iterable[str]) -> int:
    """How many releases came after `since`, up to `now`: of the known tags or, if more, of minor numbers."""
    versions = [version for tag in known if (version := version_of(tag)) is not None]
    passed = sum(since < version <= now for version in versions)
    minors = now.minor - since.minor if since.major == now.major else now.minor + 1
    return max(passed, minors)
