"""A running build on a terminal: what stays scrolls up, below it what runs now with its age and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from rich import live
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from typing_extensions import assert_never

from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.events import (
    CompileBegun,
    EdgeDone,
    EdgeEnded,
    EdgeStarted,
    Event,
    Note,
    Sample,
    StepBegun,
    StepDone,
)
from winvllm_build.build.report.board import Active, Board
from winvllm_build.cli.render import duration, memory_size
from winvllm_build.cli.watch_plain import done_line, ended_line

INDENT: Final = 14
NARROW: Final = 72
"""Columns below which the margin and the bar go."""
BAR: Final = 24
AGE: Final = 12
REFRESHED: Final = 4
"""Times a second."""
ROOM_BELOW: Final = 6
"""Lines of the terminal that the list of running files leaves free."""


class Signs(NamedTuple):
    """What a terminal can show."""

    full: str
    empty: str
    cut: str


SIGNS: Final = Signs("━", "━", "…")
ASCII: Final = Signs("#", "-", "..")


class Live:
    """The display; the part below is drawn anew from the board, by a thread of rich's."""

    def __init__(
        self,
        terminal: Console,
        board: Board,
        lock: threading.RLock,
        estimate: Callable[[float], float | None],
    ) -> None:
        self._terminal = terminal
        self._view = View(board, lock, estimate)
        self._live: live.Live | None = None

    def see(self, event: Event, board: Board) -> None:
        match event:
            case StepBegun():
                self._say(f"{event.step.value:>12}  {event.title}", "bold")
            case StepDone():
                self._stop()
                self._say(f"{'':>12}  {event.summary} ({duration(event.seconds)})", "green")
            case Note():
                self._say(f"{'':>12}  {event.text}")
            case CompileBegun():
                self._start()
            case EdgeDone():
                self._start()
                if event.failed and not board.told(event):
                    self._say(done_line(event, board), "red")
            case EdgeEnded():
                self._ended(event.record, board)
            case EdgeStarted() | Sample():
                pass
            case _:
                assert_never(event)

    def end(self) -> None:
        self._stop()

    def _ended(self, record: EdgeRecord, board: Board) -> None:
        """What did not go as it should stays."""
        if record.outcome is Outcome.FAILED:
            self._say(ended_line(record, board), "red")
        elif record.outcome is Outcome.RETRIED:
            self._say(f"{'':>12}{ended_line(record, board)}", "yellow")

    def _say(self, text: str, style: str = "") -> None:
        self._terminal.print(text, style=style)

    def _start(self) -> None:
        if self._live is None:
            self._live = live.Live(
                self._view, console=self._terminal, refresh_per_second=REFRESHED, transient=True,
                redirect_stdout=False, redirect_stderr=False,
            )  # fmt: skip
            self._live.start()

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class View:
    """The part that is drawn anew; `now` gives seconds since the epoch."""

    def __init__(
        self,
        board: Board,
        lock: threading.RLock,
        estimate: Callable[[float], float | None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._board, self._lock, self._estimate, self._now = board, lock, estimate, now

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        width, height = options.max_width, options.size.height
        signs = ASCII if options.ascii_only else SIGNS
        with self._lock:
            lines = list(self._lines(width - 1, max(height - ROOM_BELOW, 1), signs))
        for line in lines:
            line.truncate(width - 1, overflow="crop" if options.ascii_only else "ellipsis")
            yield line

    def _lines(self, width: int, rows: int, signs: Signs) -> Iterator[Text]:
        board, now = self._board, self._now()
        margin = " " * INDENT if width >= NARROW else ""
        yield Text(f"{'compile':>12}  " if margin else "").append_text(self._head(now, width, signs))
        if facts := ", ".join(_facts(board)):
            yield Text(f"{margin}{facts}", style="dim")
        active = sorted(board.running.values(), key=lambda one: one.started)
        for one in active[: rows if len(active) <= rows else rows - 1]:
            yield _running(one, now, margin, width, signs)
        if len(active) > rows:
            yield Text(f"{margin}and {len(active) - rows + 1} more", style="dim")
        if not active and board.title:
            yield Text(f"{margin}{board.title}", style="dim")

    def _head(self, now: float, width: int, signs: Signs) -> Text:
        board = self._board
        made = Text()
        if width >= NARROW:
            full = round(BAR * board.finished / board.total) if board.total else 0
            made.append(signs.full * full, style="green").append(signs.empty * (BAR - full), style="dim")
            made.append("  ")
        made.append(f"{board.finished}/{board.total}", style="bold")
        elapsed = now - board.begun if board.begun else board.elapsed
        made.append(f"  {duration(max(elapsed, 0.0))}")
        remaining = self._estimate(now)
        if remaining is not None and board.finished != board.total:
            made.append(f"  ETA {duration(remaining)}", style="bold")
        return made


def _facts(board: Board) -> Iterator[str]:
    if board.budget:
        yield f"memory {memory_size(board.used)} of {memory_size(board.budget)}"
    if board.waiting:
        yield f"{board.waiting} waiting"
    for outcome, words in (
        (Outcome.REUSED, "made before"), (Outcome.CACHED, "from the cache"),
        (Outcome.RETRIED, "run again"), (Outcome.FAILED, "failed"),
    ):  # fmt: skip
        if board.counts[outcome]:
            yield f"{board.counts[outcome]} {words}"


def _running(one: Active, now: float, margin: str, width: int, signs: Signs) -> Text:
    """The file, its end kept where it does not fit; how long it has run; its memory now, and expected."""
    age = f"{duration(max(now - one.started, 0.0)):>{AGE}}"
    memory = f"  {memory_size(one.memory) if one.memory else '':>8} of {memory_size(one.predicted_memory):>8}"
    room = width - len(margin) - len(age) - len(memory)
    if room < AGE:
        memory, room = "", width - len(margin) - len(age)
    label = one.label if len(one.label) <= room else signs.cut + one.label[-max(room - len(signs.cut), 1) :]
    made = Text(f"{margin}{label:<{max(room, 0)}}")
    late = one.predicted_seconds > 0 and now - one.started > 2 * one.predicted_seconds
    made.append(age, style="yellow" if late else "")
    over = one.memory > one.predicted_memory > 0
    made.append(memory, style="yellow" if over else "dim")
    return made
