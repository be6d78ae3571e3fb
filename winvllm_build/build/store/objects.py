"""The store of finished edges: kept when they end, found again by content, put in place of a compile."""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from winvllm_build.build import ninja
from winvllm_build.build.engine.edge import Edge, Language, Roots
from winvllm_build.build.engine.reuse import Replay
from winvllm_build.build.store import depfile, ninjalogs, snapshot, verification
from winvllm_build.build.store.blobs import Blobs, Syncer
from winvllm_build.build.store.command import Command
from winvllm_build.build.store.digests import Digests
from winvllm_build.build.store.journal import Done, EdgeJournal
from winvllm_build.build.store.layout import BLOBS, BUILDS, HASHES, RECORDS
from winvllm_build.build.store.places import Places
from winvllm_build.build.store.reading import Read, Reader, Unusable
from winvllm_build.build.store.records import Made, Record, Records
from winvllm_build.build.store.references import References
from winvllm_build.errors import StorageError
from winvllm_build.workspace import Journal, storage_errors

log = logging.getLogger(__name__)


class Sharing(Enum):
    """Which results of another folder are used here."""

    EVERYWHERE = "everywhere"
    """All: an object may spell out the folder it was made in, in debug information and messages."""
    SAME_PLACE = "same place"
    """Only those whose bytes would be the same here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun:
    clock: int
    at: float


class Store:
    """Implements `engine.reuse.Reuse` for one build folder.

    A store that cannot be written stops keeping, says so once, and lets the build go on.
    """

    def __init__(
        self,
        root: Path,
        *,
        build: Path,
        roots: Roots,
        environment: Mapping[str, str],
        tag: str = "",
        sharing: Sharing = Sharing.EVERYWHERE,
        on_event: Callable[[str], None] = log.debug,
    ) -> None:
        """Open the store for one build; nothing is written yet.

        Args:
            root: the folder of the store, which builds share.
            build: the build folder; the caller holds its lock.
            roots: folders that other builds and machines have elsewhere.
            environment: the complete environment of the compilers.
            tag: vLLM's tag, for listing and exporting.
            sharing: whether objects that spell out another folder may be used.
            on_event: told what the user should know.
        """
        self.root = root
        self.build = build
        self._tag = tag
        self._sharing = sharing
        self._tell = on_event
        self._syncer = Syncer()
        self.blobs = Blobs(root / BLOBS, self._syncer)
        self.records = Records(root / RECORDS, self._syncer)
        self._references = References(root / BUILDS / f"{build.name}.jsonl", tag)
        self._places = Places(roots, build)
        self._digests = Digests(root / HASHES)
        self._reader = Reader(self._places, environment, self._digests)
        self._journal = EdgeJournal(build)
        self._earlier = snapshot.Snapshot()
        self._checked: set[str] = set()
        """Outputs whose inputs were looked at in this run."""
        self._running: dict[str, _Begun] = {}
        self._lock = threading.Lock()
        self._failed = False
        self.reasons: dict[str, str] = {}
        """Why an edge's result was not found or not kept, by output."""

    def prepare(self, edges: Iterable[Edge], *, full: bool = False) -> verification.Verified:
        """Remove the outputs that are not to be trusted, so that ninja asks for them; begin a run.

        What a killed run left running is ended first: it would write on.

        Args:
            edges: all that the run may need.
            full: read every output even after a clean end.

        Raises:
            StorageError: the build folder cannot be written.
        """
        ninja.end_leftover(Journal(path=self.build / ninja.RUNNING))
        wanted = list(edges)
        there = [edge for edge in wanted if (self.build / edge.output).exists()]
        thorough = full or self._journal.unclean
        held = snapshot.read(self.build)
        if not thorough and held.holds():
            self._earlier = held
        verifier = verification.Verifier(
            build=self.build,
            journal=self._journal,
            records=self.records,
            reader=self._reader,
            thorough=thorough,
            known=self._earlier.outputs,
        )
        doubts = zip(there, verifier.doubts(there), strict=True)
        removed = tuple((edge.output, doubt) for edge, doubt in doubts if doubt)
        trusted = {edge.output for edge in there} - {output for output, _ in removed}
        others = self._journal.done.keys() - {edge.output for edge in wanted}
        torn = verifier.torn(sorted(others)) if thorough else ()
        with storage_errors(str(self.build)):
            snapshot.drop(self.build)
            for output, _ in removed:
                (self.build / output).unlink(missing_ok=True)
            repaired = ninjalogs.repair(self.build)
            self._journal.open()
        for output in torn:  # another selection's: it is made again once it is asked for
            self._journal.begin(output)
        verification.settle(self._journal, self.build, self._syncer, trusted)
        if repaired:
            self._tell(repaired)
        self._checked.update(trusted)
        return verification.Verified(
            trusted=len(trusted),
            removed=removed,
            unclean=self._journal.unclean,
            repaired=repaired,
        )

    def find(self, edge: Edge) -> Replay | None:
        """Put an earlier result in place, if command and inputs are the same; None to run the edge."""
        command = self._reader.command(edge)
        if command.refusal:
            self._because(edge, command.refusal)
            return None
        key = self._reader.key(edge, command)
        reason = "not compiled before with this command, compiler and environment"
        for path in self.records.of(key):
            record = self.records.load(path)
            if record is None:
                continue
            reason = self._unfit(record, command)
            if reason:
                continue
            try:
                if self._place(edge, command, record):
                    return Replay(text=self._places.spelt_text(record.text))
            except OSError as error:
                reason = f"cannot be put in place: {error.strerror}"
                continue
            reason = "what was kept is torn or gone"
            path.unlink(missing_ok=True)
        self._because(edge, reason)
        return None

    def _because(self, edge: Edge, reason: str) -> None:
        self.reasons[edge.output] = reason
        log.debug("%s: %s", edge.output, reason)

    def _unfit(self, record: Record, command: Command) -> str:
        if len(record.made) != len(command.outputs):
            return "it makes other files now"
        if record.bound and record.bound != self._reader.place():
            return "its result names the time or place of its making"
        here = self._places.spellings
        if self._sharing is Sharing.SAME_PLACE and any(
            here.get(name) != folder for name, folder in record.spelt
        ):
            return "its result spells out another folder"
        return self._reader.same(record)

    def _place(self, edge: Edge, command: Command, record: Record) -> bool:
        self._journal.begin(edge.output)
        for name, made in zip(command.outputs, record.made, strict=True):
            if not self.blobs.put(made.blob, self.build / name, executable=made.executable):
                return False
        if command.depfile:
            listed = [self._places.spelt(named) for named, _ in record.inputs[: record.listed]]
            content = depfile.written(edge.output, listed)
            (self.build / command.depfile).write_text(
                content, encoding="utf-8", errors="surrogateescape", newline="\n"
            )
        self._done(edge, record.variant, record.key, record.made[0].blob)
        with suppress(OSError):
            os.utime(self.records.path(record.key, record.variant))
        return True

    def begun(self, edge: Edge) -> None:
        """The edge runs now; until `kept` its output is not to be trusted."""
        self._journal.begin(edge.output)
        self._running[edge.output] = _Begun(clock=self._journal.clock(), at=time.monotonic())

    def keep(self, edge: Edge, text: bytes) -> None:
        """The edge ended well: record its inputs and output; `text` is what it printed."""
        begun = self._running.pop(edge.output, None)
        output = self.build / edge.output
        try:
            content, spelt = self._content(output, edge)
        except OSError:
            self._because(edge, "it left no output")
            return
        command = self._reader.command(edge)
        key, variant = self._reader.base_key(edge), ""
        try:
            if begun is None:
                raise Unusable("its beginning was not told")  # noqa: TRY301 - one way out
            if command.refusal:
                raise Unusable(command.refusal)  # noqa: TRY301 - one way out
            read = self._reader.read(edge, command, text, begun.clock)
            key = self._reader.key(edge, command)
            if not self._failed:
                record = self._record(
                    edge, command, read, key=key, spelt=spelt, text=text, content=content, begun=begun
                )
                variant = self.records.add(record)
        except Unusable as reason:
            self._because(edge, f"not kept: {reason}")
        except OSError as error:
            self._fail(error)
        self._done(edge, variant, key, content)

    def _content(self, output: Path, edge: Edge) -> tuple[str, dict[str, str]]:
        with output.open("rb") as file:
            if output.stat().st_size == 0:
                return hashlib.sha256(b"").hexdigest(), {}
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                spelt = {} if edge.language is Language.LINK else self._places.inside(content)
                return hashlib.sha256(content).hexdigest(), spelt

    def _record(
        self,
        edge: Edge,
        command: Command,
        read: Read,
        *,
        key: str,
        spelt: Mapping[str, str],
        text: bytes,
        content: str,
        begun: _Begun,
    ) -> Record:
        made: list[Made] = []
        for name in command.outputs:
            file = self.build / name
            stat = file.stat()
            blob = self.blobs.take(file, hash_=content if name == edge.output else None)
            made.append(Made(name=name, blob=blob, size=stat.st_size, executable=bool(stat.st_mode & 0o111)))
        return Record(
            key=key,
            output=edge.output,
            tag=self._tag,
            inputs=read.inputs,
            listed=read.listed,
            missing=read.missing,
            search=read.search,
            lookups=read.lookups,
            made=tuple(made),
            text=self._places.named_text(text),
            spelt=tuple(sorted(spelt.items())),
            bound=self._reader.place() if read.timed else "",
            seconds=time.monotonic() - begun.at,
        )

    def _done(self, edge: Edge, variant: str, key: str, content: str) -> None:
        output = self.build / edge.output
        with suppress(OSError):
            stat = output.stat()
            self._syncer.later(output)
            self._journal.finish(
                edge.output,
                Done(
                    command=self._reader.base_key(edge),
                    key=key,
                    variant=variant,
                    size=stat.st_size,
                    modified=stat.st_mtime_ns,
                    hash=content,
                ),
            )
            if variant:
                self._checked.add(edge.output)
                self._references.note(edge.output, key, variant)

    def _fail(self, error: OSError) -> None:
        with self._lock:
            first, self._failed = not self._failed, True
        if first:
            self._tell(f"finished edges are not kept any more: {self.root}: {error.strerror or error}")

    def close(self) -> None:
        """End the run well: everything is on the disk, and what later steps did to outputs is noted."""
        verification.settle(self._journal, self.build, self._syncer, self._journal.fresh)
        self._syncer.finish()
        for end in (self._leave_snapshot, self._digests.save, self._references.close, self._journal.close):
            with suppress(OSError, StorageError):
                end()

    def _leave_snapshot(self) -> None:
        seen = snapshot.Seen(files=dict(self._digests.seen), folders=dict(self._reader.listings.seen))
        seen.add(self._earlier.seen)
        kept = {name for name in self._checked if (done := self._journal.done.get(name)) and done.variant}
        snapshot.write(self.build, snapshot.Snapshot(outputs=self._earlier.outputs | kept, seen=seen))


@contextmanager
def opened(
    root: Path,
    *,
    edges: Iterable[Edge],
    build: Path,
    roots: Roots,
    environment: Mapping[str, str],
    tag: str = "",
    full: bool = False,
    sharing: Sharing = Sharing.EVERYWHERE,
    on_event: Callable[[str], None] = log.debug,
) -> Iterator[Store]:
    """A store for one run of ninja in one build folder, whose outputs have been verified.

    Raises:
        StorageError: the build folder cannot be written.
    """
    store = Store(
        root, build=build, roots=roots, environment=environment, tag=tag, sharing=sharing, on_event=on_event
    )
    store.prepare(edges, full=full)
    try:
        yield store
    finally:
        store.close()
