"""A running build, told: on the terminal or in a log, as a stream of events, as the record of the run."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from winvllm_build.build.events import CompileBegun, EdgeDone, EdgeEnded, Event
from winvllm_build.build.report import stream
from winvllm_build.build.report.board import Board
from winvllm_build.build.report.eta import Estimator
from winvllm_build.build.report.recorder import Recorder
from winvllm_build.build.report.run import Ending
from winvllm_build.cli import ci
from winvllm_build.cli.render import console, note
from winvllm_build.cli.watch_live import Live
from winvllm_build.cli.watch_plain import Plain
from winvllm_build.errors import StorageError, WinvllmError

STDOUT: Final = "-"
REFRESHED: Final = 1.0
"""Seconds after which an estimate is reckoned anew."""


class Display(Protocol):
    """What shows a build to a person; events arrive one at a time, the board already knows them."""

    def see(self, event: Event, board: Board) -> None: ...

    def end(self) -> None: ...


@contextlib.contextmanager
def watching(events: str | None = None) -> Iterator[Watch]:
    """A watcher for the length of a build; what a person reads goes to stderr.

    Args:
        events: a file for the stream of events, or `-` for stdout.

    Raises:
        StorageError: that file cannot be written.
    """
    with _sink(events) as sink:
        watch = Watch(sink)
        ending = Ending.INTERRUPTED
        try:
            yield watch
            ending = Ending.FAILED if watch.failed else Ending.FINISHED
        except WinvllmError:
            ending = Ending.FAILED
            raise
        finally:
            watch.end(ending)


class Watch:
    """Told of events from any thread, shows and writes them one after the other."""

    def __init__(self, sink: BinaryIO | None) -> None:
        from importlib.metadata import version

        self.failed = False
        self._order = threading.RLock()
        """One event after the other."""
        self._state = threading.RLock()
        """Board and estimate, which a display reads by itself; never held while something is shown."""
        self._told: tuple[float, float | None] = (0.0, None)
        self._board = Board()
        self._estimator: Estimator | None = None
        self._recorder = Recorder(version=version("winvllm-build"), at=time.time())
        self._sink = sink
        self._display = _display(self._board, self._state, self._estimate)
        self._write(stream.opened(at=time.time(), version=version("winvllm-build")))

    def __call__(self, event: Event) -> None:
        with self._order:
            now = time.time()
            with self._state:
                if isinstance(event, CompileBegun):
                    self._estimator = Estimator(event)
                if self._estimator is not None:
                    self._estimator.see(event)
                self._board.see(event)
                fresh = isinstance(event, EdgeDone | EdgeEnded)
                self._board.remaining = remaining = self._estimate(now, fresh=fresh)
            self._recorder.see(event, at=now, remaining=remaining)
            self._write(stream.encode(event, at=now, remaining=remaining))
            self._display.see(event, self._board)

    @property
    def record(self) -> Path | None:
        """The file of this run, where something was compiled."""
        return self._recorder.file

    def result(self, value: dict[str, object], *, failed: bool) -> None:
        """The result of the build, for who reads the stream; `failed` where edges did and it went on."""
        self.failed = failed
        with self._order:
            self._write({"event": "result", "at": round(time.time(), 3), "result": value})

    def end(self, ending: Ending) -> None:
        """Nothing more comes."""
        with self._order:
            now = time.time()
            self._recorder.end(ending, at=now)
            self._display.end()
            if self._recorder.problem:
                note(self._recorder.problem)
            self._write(stream.closed(at=now, outcome=ending.value))
        for record in self._recorder.files:
            ci.step_summary(record)

    def _estimate(self, now: float, *, fresh: bool = False) -> float | None:
        """Seconds that are left; reckoned anew at most about once a second."""
        if self._estimator is None:
            return None
        told, left = self._told
        if fresh or left is None or now - told > REFRESHED:
            told, left = self._told = now, self._estimator.remaining(now)
        return None if left is None else max(left - (now - told), 0.0)

    def _write(self, value: dict[str, object]) -> None:
        if self._sink is None:
            return
        try:
            self._sink.write(stream.line(value))
            self._sink.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._sink = None
            note(f"no more events are written: {error.strerror or error}")


def _display(board: Board, lock: threading.RLock, estimate: Callable[[float], float | None]) -> Display:
    terminal = console(stderr=True)
    if terminal.is_terminal and not terminal.is_dumb_terminal and ci.kind() is None:
        return Live(terminal, board, lock, estimate)
    return Plain(terminal, ci.kind())


@contextlib.contextmanager
def _sink(events: str | None) -> Iterator[BinaryIO | None]:
    if events is None:
        yield None
    elif events == STDOUT:
        yield sys.stdout.buffer
    else:
        try:
            file = Path(events).open("wb")  # noqa: SIM115 - its own failures are the caller's words
        except OSError as error:
            raise StorageError(
                f"cannot write {events}: {error.strerror or error}", fix="name a file in a folder that exists"
            ) from error
        with file:
            yield file
