"""What a store holds and for whom; room made in it, and damage found."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.build.store import references
from winvllm_build.build.store.blobs import Blobs, Syncer, sha256
from winvllm_build.build.store.layout import BLOBS, BUILDS, LOCK, RECORDS
from winvllm_build.build.store.records import Records, Summary
from winvllm_build.build.store.references import Reference
from winvllm_build.build.store.verification import READERS
from winvllm_build.errors import BusyError
from winvllm_build.workspace import locked, storage_errors

GRACE: Final = 600.0
"""Seconds. A younger content without a record may be that of an edge that ends now."""
WHAT: Final = "the store of finished edges"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record in the store; `used` is seconds since the epoch."""

    path: Path
    summary: Summary
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one build or tag has in the store; `seconds` is what its edges took when they ran."""

    name: str
    tag: str
    edges: int
    size: int
    seconds: float
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What is there.

    Attributes:
        edges: finished edges.
        size: bytes of all contents, each counted once.
        tags: by the tag of the build that made an edge.
        builds: by build folder; an edge may serve several.
        orphans: contents that no record names.
    """

    root: Path
    edges: int
    size: int
    seconds: float
    tags: tuple[Share, ...]
    builds: tuple[Share, ...]
    orphans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What went and what is left: edges and bytes."""

    removed: int
    freed: int
    left: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What reading everything found; what was damaged is gone."""

    records: int
    contents: int
    damaged: tuple[str, ...]


def entries(root: Path) -> list[Entry]:
    """Every readable record, the last used first."""
    records = Records(root / RECORDS, Syncer())
    found: list[Entry] = []
    for path in records.all():
        summary = records.summary(path)
        with suppress(OSError):
            if summary is not None:
                found.append(Entry(path=path, summary=summary, used=path.stat().st_mtime))
    return sorted(found, key=lambda entry: (-entry.used, entry.path.name))


def take(root: Path) -> Inventory:
    """Look through a store."""
    found = entries(root)
    held = {(entry.summary.key, entry.path.name): entry for entry in found}
    blobs = Blobs(root / BLOBS, Syncer())
    sizes = {name: size_of(blobs.path(name)) for name in blobs.names()}
    named = {made.blob for entry in found for made in entry.summary.made}
    tags = {tag: [e for e in found if e.summary.tag == tag] for tag in sorted({e.summary.tag for e in found})}
    builds: list[Share] = []
    for name, used in by_build(root):
        mine = {(r.key, r.variant) for r in used} & held.keys()
        if mine:
            builds.append(_share(name, used[-1].tag, [held[one] for one in sorted(mine)]))
    return Inventory(
        root=root,
        edges=len(found),
        size=sum(sizes.values()),
        seconds=sum(entry.summary.seconds for entry in found),
        tags=tuple(_share(tag, tag, mine) for tag, mine in tags.items()),
        builds=tuple(builds),
        orphans=len(sizes.keys() - named),
    )


def by_build(root: Path) -> Iterator[tuple[str, list[Reference]]]:
    """The records each build folder uses."""
    for path in sorted((root / BUILDS).glob("*.jsonl")):
        used = list(references.read(path).values())
        if used:
            yield path.stem, used


def _share(name: str, tag: str, mine: list[Entry]) -> Share:
    sizes = {made.blob: made.size for entry in mine for made in entry.summary.made}
    return Share(
        name=name,
        tag=tag,
        edges=len(mine),
        size=sum(sizes.values()),
        seconds=sum(entry.summary.seconds for entry in mine),
        used=max(entry.used for entry in mine),
    )


def prune(root: Path, keep: int) -> Pruned:
    """Remove what was not used for longest, until no more than `keep` bytes of contents are left.

    Raises:
        BusyError: another run tidies the store.
        StorageError: it cannot be written.
    """
    with locked(root / LOCK, WHAT), storage_errors(str(root)):
        kept: set[str] = set()
        dropped: set[str] = set()
        removed = left = size = 0
        for entry in entries(root):
            more = {made.blob: made.size for made in entry.summary.made if made.blob not in kept}
            if size + sum(more.values()) <= keep:
                kept.update(more)
                size += sum(more.values())
                left += 1
                continue
            entry.path.unlink(missing_ok=True)
            dropped.update(made.blob for made in entry.summary.made)
            removed += 1
        freed = _sweep(root, frozenset(kept), frozenset(dropped))
        return Pruned(removed=removed, freed=freed, left=left, size=size)


def limit(root: Path, keep: int) -> Pruned | None:
    """As `prune`, if there are more than `keep` bytes; None if not, or while another run tidies the store.

    Raises:
        StorageError: it cannot be written.
    """
    blobs = Blobs(root / BLOBS, Syncer())
    if sum(size_of(blobs.path(name)) for name in blobs.names()) <= keep:
        return None
    with suppress(BusyError):
        return prune(root, keep)
    return None


def _sweep(root: Path, kept: frozenset[str], dropped: frozenset[str]) -> int:
    """Remove contents that nothing names any more, and what killed runs left; bytes freed."""
    blobs, records = Blobs(root / BLOBS, Syncer()), Records(root / RECORDS, Syncer())
    young, freed = time.time() - GRACE, 0
    for path in [*map(blobs.path, blobs.names()), *blobs.leftovers(), *records.leftovers()]:
        with suppress(OSError):
            stat = path.stat()
            old = path.name in dropped or max(stat.st_mtime, stat.st_ctime) < young
            if path.name not in kept and old:
                path.unlink()
                freed += stat.st_size
    for folder in (root / RECORDS).glob("*/*"):
        with suppress(OSError):
            folder.rmdir()
    return freed


def clear(root: Path) -> Pruned:
    """Remove everything; builds that run meanwhile go on, and keep what they finish from now on.

    Raises:
        BusyError: another run tidies the store.
        StorageError: it cannot be written.
    """
    before = take(root)
    if root.exists():
        with locked(root / LOCK, WHAT), storage_errors(str(root)):
            for name in (RECORDS, BUILDS, BLOBS):
                shutil.rmtree(root / name, ignore_errors=True)
    return Pruned(removed=before.edges, freed=before.size, left=0, size=0)


def verify(root: Path) -> Verified:
    """Read every content and every record; what is damaged is removed, so that its edge is compiled again.

    Raises:
        BusyError: another run tidies the store.
    """
    with locked(root / LOCK, WHAT):
        blobs, records = Blobs(root / BLOBS, Syncer()), Records(root / RECORDS, Syncer())
        names = list(blobs.names())
        with ThreadPoolExecutor(READERS) as pool:
            whole = list(pool.map(lambda name: _is_whole(blobs.path(name), name), names))
        damaged = [f"content {name}" for name, good in zip(names, whole, strict=True) if not good]
        for name, good in zip(names, whole, strict=True):
            if not good:
                blobs.path(name).unlink(missing_ok=True)
        paths = list(records.all())
        for path in paths:
            record = records.load(path)
            if record is None:
                damaged.append(f"record {path.parent.name[:12]}/{path.name[:12]}")
            elif any(not blobs.path(made.blob).is_file() for made in record.made):
                damaged.append(f"record of {record.output}: a content is missing")
                path.unlink(missing_ok=True)
    return Verified(records=len(paths), contents=len(names), damaged=tuple(damaged))


def _is_whole(path: Path, name: str) -> bool:
    try:
        return sha256(path) == name
    except FileNotFoundError:  # another run has removed it meanwhile
        return True
    except OSError:
        return False


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
