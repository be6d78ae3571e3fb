"""Lookups that found nothing: a header that appears where the compiler looks first changes what it reads.

A dependency file lists what was found, not what was looked for in vain, nor what `__has_include` asked for.
Both are watched here: in every folder that is searched, and in every folder that holds a file which was read,
the names that could stand in for one of the files read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from winvllm_build.build.store.digests import RACY, digest_of_text
from winvllm_build.build.store.places import Places

DEEPEST: Final = 6
"""Folders between a searched folder and the header, as in `<cute/arch/mma_sm80.hpp>`, at most."""
Trie: TypeAlias = "dict[str, Trie]"


class Listings:
    """The names in folders; a folder is read again when its time has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, frozenset[str]]] = {}
        self.seen: dict[str, int | None] = {}
        """The time of each folder that was listed; None where that is no proof of its content."""

    def of(self, folder: str) -> frozenset[str]:
        """The names in a folder; none where there is no folder."""
        modified = 0
        try:
            modified = os.stat(folder).st_mtime_ns  # noqa: PTH116 - hot
            held = self._known.get(folder)
            if held is not None and held[0] == modified:
                return held[1]
            names = frozenset(os.listdir(folder))  # noqa: PTH208 - hot
        except OSError:
            self._see(folder, modified)
            return frozenset()
        sure = modified < time.time_ns() - RACY
        if sure:
            self._known[folder] = (modified, names)
        self._see(folder, modified if sure else None)
        return names

    def _see(self, folder: str, modified: int | None) -> None:
        if self.seen.setdefault(folder, modified) != modified:
            self.seen[folder] = None


def time_of(folder: str) -> int:
    """When a folder's names last changed, in nanoseconds; 0 where there is no folder."""
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 - hot
    except OSError:
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """Folders below a searched one that a source may name."""

    names: frozenset[str]
    inside: Mapping[str, Below]


def digest(places: Places, listings: Listings, search: Iterable[str], files: Sequence[str]) -> str:
    """What could stand in for one of `files` now.

    Args:
        places: names the folders.
        listings: reads them.
        search: folders that are searched, named.
        files: what was read and what was asked for, named; the latter relative.
    """
    split = [_split(name) for name in files]
    names = frozenset(name for _, name in split)
    holding = frozenset(folder for folder, _ in split if folder)
    below = _below(holding)
    parts: list[str] = []
    for folder in sorted(holding.union(search)):
        for place, found in _hits(folder, places.file(folder), below, names, listings):
            parts.extend((place, *sorted(found), ""))
    return digest_of_text(parts)


@cache
def _split(name: str) -> tuple[str, str]:
    folder, _, last = name.rpartition("/")
    return folder, last


def _hits(
    named: str, folder: str, below: Below, names: frozenset[str], listings: Listings
) -> Iterator[tuple[str, frozenset[str]]]:
    there = listings.of(folder)
    if found := there & names:
        yield named, found
    for name in sorted(there & below.names):
        yield from _hits(f"{named}/{name}", f"{folder}/{name}", below.inside[name], names, listings)


@lru_cache(maxsize=256)
def _below(folders: frozenset[str]) -> Below:
    """Every ending of every folder, as a header may be named in a source."""
    root: Trie = {}
    for folder in folders:
        parts = PurePosixPath(folder).parts
        for start in range(max(0, len(parts) - DEEPEST), len(parts)):
            node = root
            for part in parts[start:]:
                node = node.setdefault(part, {})
    return _fixed(root)


def _fixed(node: Trie) -> Below:
    inside = {name: _fixed(child) for name, child in node.items()}
    return Below(names=frozenset(inside), inside=inside)
