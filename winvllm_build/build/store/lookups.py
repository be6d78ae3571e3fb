"""Lookups that found nothing: a header that appears where the compiler looks first changes what it reads.

A dependency file lists what was found, not what was looked for in vain, nor what `__has_include` asked for.
Both are watched here: in every folder that is searched, and in every folder that holds a file which was read,
the names that could stand in for one of the files read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Final, TypeAlias

from winvllm_build.build.store.digests import RACY, digest_of_text
from winvllm_build.build.store.places import Places

DEEPEST: Final = 6
"""Folders between a searched folder and the header, as in `<cute/arch/mma_sm80.hpp>`, at most."""
Trie: TypeAlias = "dict[str, Trie]"


class Listings:
    """The names in folders; a folder is read again when its time has changed."""

    def __init__(self, *, remember: bool = os.name != "nt") -> None:
        self._remember = remember
        self._known: dict[str, tuple[int, frozenset[str]]] = {}

    def of(self, folder: str) -> frozenset[str]:
        """The names in a folder; none where there is no folder."""
        try:
            modified = os.stat(folder).st_mtime_ns  # noqa: PTH116 - hot
            held = self._known.get(folder)
            if held is not None and held[0] == modified:
                return held[1]
            names = frozenset(os.listdir(folder))  # noqa: PTH208 - hot
        except OSError:
            return frozenset()
        if self._remember and modified < time.time_ns() - RACY:
            self._known[folder] = (modified, names)
        return names


def digest(places: Places, listings: Listings, search: Iterable[str], files: Sequence[str]) -> str:
    """What could stand in for one of `files` now.

    Args:
        places: names the folders.
        listings: reads them.
        search: folders that are searched, named.
        files: what was read and what was asked for, named; the latter relative.
    """
    names = {name.rsplit("/", 1)[-1] for name in files}
    below = _trie(files)
    folders = dict.fromkeys([*search, *(name.rsplit("/", 1)[0] for name in files if "/" in name)])
    parts: list[str] = []
    for folder in sorted(folders):
        for place, found in _hits(folder, places.file(folder), below, names, listings):
            parts.extend((place, *sorted(found), ""))
    return digest_of_text(parts)


def _hits(
    named: str, folder: str, below: Trie, names: set[str], listings: Listings
) -> Iterator[tuple[str, frozenset[str]]]:
    there = listings.of(folder)
    if found := there & names:
        yield named, found
    for name in sorted(there & below.keys()):
        yield from _hits(f"{named}/{name}", f"{folder}/{name}", below[name], names, listings)


def _trie(files: Iterable[str]) -> Trie:
    """Every ending of every file's folder, as a header may be named in a source."""
    root: Trie = {}
    for folder in {name.rsplit("/", 1)[0] for name in files if "/" in name}:
        parts = PurePosixPath(folder).parts
        for start in range(max(0, len(parts) - DEEPEST), len(parts)):
            node = root
            for part in parts[start:]:
                node = node.setdefault(part, {})
    return root
