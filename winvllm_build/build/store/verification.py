"""Before ninja runs: which outputs of a build folder are what their edges left, and which have to go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.store.blobs import Syncer, sha256
from winvllm_build.build.store.journal import EdgeJournal
from winvllm_build.build.store.reading import Reader
from winvllm_build.build.store.records import Records

READERS: Final = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What became of the outputs that were there.

    Attributes:
        trusted: how many stay.
        removed: those that went, each with the reason.
        unclean: the last run was killed, so every output was read.
        repaired: what was done to ninja's own log; empty if nothing was.
    """

    trusted: int
    removed: tuple[tuple[str, str], ...]
    unclean: bool
    repaired: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """Holds the outputs of a build folder against its journal.

    Attributes:
        thorough: read every output; sizes and times are not enough after a crash.
        known: outputs whose inputs are known to be what they were.
    """

    build: Path
    journal: EdgeJournal
    records: Records
    reader: Reader
    thorough: bool
    known: frozenset[str]

    def doubts(self, edges: Sequence[Edge]) -> list[str]:
        """Why each edge's output is not to be trusted; empty where it is."""
        with ThreadPoolExecutor(READERS) as pool:
            return list(pool.map(self._doubt, edges))

    def torn(self, outputs: Sequence[str]) -> list[str]:
        """Those that are there and are not what the journal says; of edges that the run does not need."""
        with ThreadPoolExecutor(READERS) as pool:
            return [name for name, bad in zip(outputs, pool.map(self._is_torn, outputs), strict=True) if bad]

    def _is_torn(self, output: str) -> bool:
        path, done = self.build / output, self.journal.done[output]
        try:
            return path.stat().st_size != done.size or sha256(path) != done.hash
        except FileNotFoundError:
            return False

    def _doubt(self, edge: Edge) -> str:
        done = self.journal.done.get(edge.output)
        if done is None:
            return (
                "its edge did not finish" if edge.output in self.journal.begun else "nobody noted its making"
            )
        if done.command != self.reader.base_key(edge):
            return "its command, compiler or environment has changed"
        path = self.build / edge.output
        stat = path.stat()
        if stat.st_size != done.size or (stat.st_mtime_ns != done.modified and not self.thorough):
            return "it was changed since its edge left it"
        if self.thorough and sha256(path) != done.hash:
            return "it holds other bytes than its edge left"
        if not done.variant or edge.output in self.known:
            return ""
        record = self.records.load(self.records.path(done.key, done.variant))
        return self.reader.same(record) if record is not None else ""


def settle(journal: EdgeJournal, build: Path, syncer: Syncer, outputs: Iterable[str]) -> None:
    """Note outputs as they are now, after a step behind the edge such as a post-build command, or a copy."""
    for output in sorted(outputs):
        done = journal.done.get(output)
        with suppress(OSError):
            path = build / output
            stat = path.stat()
            if done is not None and (stat.st_size, stat.st_mtime_ns) != (done.size, done.modified):
                changed = replace(done, size=stat.st_size, modified=stat.st_mtime_ns, hash=sha256(path))
                journal.finish(output, changed)
                syncer.later(path)
