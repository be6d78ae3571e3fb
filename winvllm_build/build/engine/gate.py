"""The gate: every edge asks it through its launcher, and it says when to run, or that nothing need run."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from typing_extensions import Self, assert_never

from winvllm_build.build.engine import commandline, leftover, memory, prefix, protocol
from winvllm_build.build.engine.admission import Wish
from winvllm_build.build.engine.attempt import Attempt, Verdict, explanation, verdict
from winvllm_build.build.engine.cost import Costs
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.prefix import NoPrefix, Prefix
from winvllm_build.build.engine.queue import Queue
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.engine.reuse import Reuse
from winvllm_build.build.engine.trust import Trust
from winvllm_build.build.events import EdgeEnded, EdgeStarted, Note, Sample, Watcher
from winvllm_build.errors import WinvllmError

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks at memory."""
LONGEST_PLACE: Final = 90
"""Bytes of a unix socket's path that every system takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a gate goes by.

    Attributes:
        slots: edges that may run at once.
        lookahead: edges that ninja may start beyond these, so that there is something to choose from.
        room: the memory they share.
        memory_per_edge: bytes to reckon with for every edge; None for what the costs predict.
        urgency: by output; the greatest starts first. Without it the longest, and what it lacks comes last.
        keep_going: an edge that fails does not keep others from starting.
        prefix: what goes before an edge's command, such as a compiler cache.
    """

    slots: int
    lookahead: int
    room: memory.Room
    memory_per_edge: int | None = None
    urgency: Mapping[str, float] = field(default_factory=dict)
    keep_going: bool = False
    prefix: Prefix = field(default_factory=NoPrefix)

    @property
    def ninja_jobs(self) -> int:
        return self.slots + self.lookahead

    def trust(self, budget: int) -> Trust:
        """What edges are reckoned with before any has run."""
        return Trust.of(fixed=self.memory_per_edge, budget=budget, slots=self.slots)


@dataclass(slots=True, kw_only=True)
class Gate:
    """A server in threads of this process; used as a context manager around one run of ninja.

    Attributes:
        edges: the known edges by output; of others only the command line is known.
        costs: predicts, and learns from each attempt.
        reuse: finished work of earlier runs.
        watch: told of every start, end and measurement, one event at a time.
        lost: outputs of edges whose launcher died under them; their failure says nothing about the source.
    """

    edges: Mapping[str, Edge]
    costs: Costs
    reuse: Reuse
    watch: Watcher
    terms: Terms
    available: Callable[[], int] = memory.available
    lost: set[str] = field(default_factory=set)
    _token: bytes = field(default_factory=lambda: secrets.token_hex(16).encode())
    _tickets: Iterator[int] = field(default_factory=itertools.count)
    _telling: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)
    _complaints: set[str] = field(default_factory=set)
    _names: dict[int, str] = field(default_factory=dict)
    _trust: Trust = field(init=False)
    _queue: Queue = field(init=False)
    _server: socket.socket = field(init=False)
    _folder: Path | None = None
    _place: str = ""

    def __post_init__(self) -> None:
        terms, budget = self.terms, self.terms.room.budget(self.available(), 0)
        self._trust = terms.trust(budget)
        self._queue = Queue(
            slots=terms.slots,
            budget=budget,
            lonely=max(terms.lookahead // 2, 1),
        )

    @property
    def environment(self) -> dict[str, str]:
        """What ninja's environment needs so that launchers find the gate."""
        return {protocol.VARIABLE: f"{self._place} {self._token.decode()}"}

    @property
    def budget(self) -> int:
        """Bytes that edges may have together now."""
        return self._queue.budget

    def __enter__(self) -> Self:
        self._listen()
        for work in (self._accept, self._sample):
            threading.Thread(target=work, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._queue.close()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _listen(self) -> None:
        if hasattr(socket, "AF_UNIX"):
            self._folder = Path(tempfile.mkdtemp(prefix="winvllm-"))
            place = str(self._folder / "gate")
            if len(place) < LONGEST_PLACE and " " not in place:
                self._server = socket.socket(socket.AF_UNIX)
                self._server.bind(place)
                self._server.listen(256)
                self._place = f"unix {place}"
                return
        self._server = socket.create_server(("127.0.0.1", 0), backlog=256)
        host, port = self._server.getsockname()
        self._place = f"tcp {host}:{port}"

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                line, _ = self._server.accept()
            except OSError:  # a launcher that was killed just then, or no more files: others wait
                self._stop.wait(INTERVAL)
                continue
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _sample(self) -> None:
        while not self._stop.wait(INTERVAL):
            roots, helpers = self._queue.roots(), self.terms.prefix.processes()
            found = memory.resident([*roots.values(), *helpers])
            resident = {ticket: found.get(pid, 0) for ticket, pid in roots.items()}
            budget = self.terms.room.budget(self.available(), sum(found.values()))
            waiting = self._queue.measured(resident, budget)
            used = {self._names[t]: size for t, size in resident.items() if t in self._names}
            self._tell(Sample(at=time.time(), used=used, budget=budget, waiting=waiting))

    def _tell(self, event: EdgeStarted | EdgeEnded | Sample | Note) -> None:
        with self._telling:
            try:
                self.watch(event)
            except Exception:  # what shows the build must not stop it
                log.exception("a watcher failed on %s", type(event).__name__)

    def _serve(self, line: socket.socket) -> None:
        with line, contextlib.suppress(protocol.BrokenLineError):
            ask = protocol.read_ask(line, self._token)
            output = commandline.output_of(ask.command, ask.folder)
            edge = self.edges.get(output) or commandline.edge_of(ask.command, ask.folder)
            if not commandline.is_same(ask.command, edge.arguments):
                edge = replace(edge, target="")  # its key is that of another command: nothing is kept
            self._handle(line, ask, edge)

    def _handle(self, line: socket.socket, ask: protocol.Ask, edge: Edge) -> None:
        asked = time.time()
        if self._replayed(line, edge, asked):
            return
        attempt: Attempt | None = self._first(edge, asked)
        while attempt is not None:
            attempt = self._tried(line, ask, attempt)

    def _first(self, edge: Edge, asked: float) -> Attempt:
        cost, known = self.costs.predict(edge), self.terms.urgency
        urgency = known.get(edge.output, -math.inf) if known else cost.seconds
        return Attempt(edge=edge, asked=asked, cost=cost, memory=self._trust.need(cost), urgency=urgency)

    def _tried(self, line: socket.socket, ask: protocol.Ask, attempt: Attempt) -> Attempt | None:
        """Run an attempt and tell its launcher what follows; the next attempt, if there is one."""
        ticket, attempt = self._admitted(line, ask, attempt)
        edge = attempt.edge
        if not attempt.bare:
            attempt = replace(attempt, prefix=self.terms.prefix.before(edge))
        report, record = self._run(line, ask, attempt, ticket)
        match verdict(report, attempt):
            case Verdict.DONE:
                with self._told("finished work was not kept"):
                    self.reuse.keep(edge, report.text)
                self._ended(record, learn=not attempt.prefix)
                protocol.send_end(line, report.code)
                return None
            case Verdict.AGAIN_ALONE:
                self._ended(replace(record, outcome=Outcome.RETRIED))
                return attempt.alone(record.memory)
            case Verdict.FAILED:
                text = report.text.decode("utf-8", "replace")
                if attempt.prefix and self.terms.prefix.again(edge, report.code, text):
                    self._ended(replace(record, outcome=Outcome.RETRIED))
                    return attempt.without_cache()
                if not self.terms.keep_going:
                    self._queue.close()
                self._ended(record)
                said = explanation(report, attempt, self._queue.budget).encode()
                nothing = _wrote_nothing(ask, edge)  # the launcher has shown all but this
                said += nothing if report.text.endswith(nothing) else b""
                protocol.send_end(line, report.code, said)
                return None
            case other:
                assert_never(other)

    def _admitted(self, line: socket.socket, ask: protocol.Ask, attempt: Attempt) -> tuple[int, Attempt]:
        """Wait until the edge may run; its ticket, and the attempt with what it was admitted with.

        Raises:
            BrokenLineError: it will not, since ninja gave it up or another edge failed.
        """
        ticket = next(self._tickets)

        def wish() -> Wish:
            first = attempt.shortages == 0
            return replace(attempt, memory=self._trust.need(attempt.cost)).wish if first else attempt.wish

        admitted = self._queue.admit(ticket, wish, ask.pid, lambda: protocol.is_closed(line))
        if admitted is not None:
            return ticket, replace(attempt, memory=admitted.memory)
        protocol.send_end(line, 1, f"{protocol.NOT_STARTED}\n".encode())
        raise protocol.BrokenLineError

    def _run(
        self,
        line: socket.socket,
        ask: protocol.Ask,
        attempt: Attempt,
        ticket: int,
    ) -> tuple[protocol.Report, EdgeRecord]:
        """From admission to the launcher's report.

        Raises:
            BrokenLineError: the launcher died; the edge is noted as lost.
        """
        started, edge = time.time(), attempt.edge
        self._names[ticket] = edge.output
        peak = 0
        try:
            with self._told("the start of an edge was not noted"):
                self.reuse.begun(edge)
            self._tell(
                EdgeStarted(
                    edge=edge, attempt=attempt.number, at=started,
                    memory=attempt.memory, seconds=attempt.cost.seconds,
                )
            )  # fmt: skip
            protocol.send_run(line, attempt.prefix)
            report = _checked(protocol.read_report(line), ask, edge)
            ended = time.time()
            self._learn(report, attempt, ticket)  # before its slot is free, as what follows
            if self._stops(report, attempt):
                self._queue.close()
        except protocol.BrokenLineError:
            self.lost.add(edge.output)
            leftover.end(ask.pid, ask.group, since=started)
            raise
        finally:
            peak = self._queue.release(ticket)
            del self._names[ticket]
        size = _size(ask, edge) if report.code == 0 else 0
        record = attempt.record(report, started=started, ended=ended, peak=peak, size=size)
        return report, prefix.told(record) if attempt.prefix else record

    def _learn(self, report: protocol.Report, attempt: Attempt, ticket: int) -> None:
        judged = verdict(report, attempt)
        if judged is not Verdict.FAILED and not attempt.prefix:
            peak = max(report.memory, self._queue.peak(ticket))
            self._trust.learn(attempt.cost, peak, killed=judged is Verdict.AGAIN_ALONE)

    def _stops(self, report: protocol.Report, attempt: Attempt) -> bool:
        """Whether nothing more is to start after this."""
        final = verdict(report, attempt) is Verdict.FAILED and not attempt.prefix
        return final and not self.terms.keep_going

    def _replayed(self, line: socket.socket, edge: Edge, asked: float) -> bool:
        found = None
        with self._told("finished work was not reused"):
            found = self.reuse.find(edge)
        if found is None:
            return False
        now = time.time()
        self._tell(
            EdgeEnded(
                record=EdgeRecord(
                    edge=edge, outcome=Outcome.REUSED, attempt=1, asked=asked, started=asked, ended=now,
                    cpu=0.0, memory=0, size=0, code=0, predicted_memory=0, predicted_seconds=0.0,
                )
            )
        )  # fmt: skip
        protocol.send_end(line, 0, found.text)
        return True

    def _ended(self, record: EdgeRecord, *, learn: bool = False) -> None:
        """Tell of an attempt; what a compiler cache answered says nothing about the compiler."""
        if learn:
            with self._told("costs were not noted"):
                self.costs.learn(record)
        self._tell(EdgeEnded(record=record))

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """A store or history that cannot be written costs what it would have saved, and not the build."""
        try:
            yield
        except (WinvllmError, OSError) as error:
            if what not in self._complaints:
                self._complaints.add(what)
                self._tell(Note(text=f"{what}: {error}"))


def _checked(report: protocol.Report, ask: protocol.Ask, edge: Edge) -> protocol.Report:
    """A compiler that ends well and leaves no output has failed; Ninja would only miss it at the link."""
    if report.code != 0 or not edge.output or (Path(ask.folder) / edge.output).exists():
        return report
    return replace(report, code=1, text=report.text + _wrote_nothing(ask, edge))


def _wrote_nothing(ask: protocol.Ask, edge: Edge) -> bytes:
    return os.fsencode(f"{ask.command[0]}: error: ended well, and wrote no {edge.output}\n")


def _size(ask: protocol.Ask, edge: Edge) -> int:
    try:
        return (Path(ask.folder) / edge.output).stat().st_size
    except OSError:
        return 0
