"""A running build in a pipe or the log of a runner: a line for each step and each finished edge."""

from __future__ import annotations

from rich.console import Console
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
from winvllm_build.build.report.board import Board, label_of, outcome_words
from winvllm_build.cli import ci
from winvllm_build.cli.render import duration, memory_size


class Plain:
    """Lines that stay; on a runner that folds, each step is a group."""

    def __init__(self, terminal: Console, where: ci.Kind | None) -> None:
        self._terminal, self._where = terminal, where
        self._open = ""

    def see(self, event: Event, board: Board) -> None:
        match event:
            case StepBegun():
                self._close()
                self._open = event.step.value
                title = ci.said(self._where, f"{event.step.value}: {event.title}")
                self._print(ci.group_begin(self._where, self._open, title))
            case StepDone():
                self._close()
                self._say(f"{event.step.value}: {event.summary} ({duration(event.seconds)})")
            case Note():
                self._say(f"  {event.text}")
            case EdgeDone():
                if not board.told(event):
                    self._say(done_line(event, board))
            case EdgeEnded():
                self._say(ended_line(event.record, board))
            case CompileBegun() | EdgeStarted() | Sample():
                pass
            case _:
                assert_never(event)

    def end(self) -> None:
        self._close()

    def _close(self) -> None:
        if self._open and (line := ci.group_end(self._where, self._open)):
            self._print(line)
        self._open = ""

    def _say(self, text: str) -> None:
        self._print(ci.said(self._where, text))

    def _print(self, text: str) -> None:
        self._terminal.file.write(text + "\n")
        self._terminal.file.flush()


def ended_line(record: EdgeRecord, board: Board) -> str:
    """`[12/370] csrc/topk.cu 1 min 37 s, 1.2 GB (3 min 07 s, ETA 1 h 20 min)`."""
    words = outcome_words(record.outcome)
    if record.outcome is Outcome.RETRIED:
        return f"  {label_of(record.edge)}: {words}"
    failed = record.outcome is Outcome.FAILED
    memory = f", {memory_size(record.memory)}" if record.memory else ""
    facts = words if words and not failed else f"{duration(record.seconds)}{memory}"
    head = f"[{board.finished}/{board.total}] {'FAILED ' if failed else ''}"
    return f"{head}{label_of(record.edge)} {facts} {_times(board, board.elapsed, board.remaining)}"


def done_line(edge: EdgeDone, board: Board) -> str:
    """The same of an edge of which ninja alone tells."""
    failed = "FAILED " if edge.failed else ""
    remaining = edge.remaining if board.remaining is None else board.remaining
    return f"[{edge.finished}/{edge.total}] {failed}{edge.title} {_times(board, edge.elapsed, remaining)}"


def _times(board: Board, elapsed: float, remaining: float | None) -> str:
    eta = "" if remaining is None or board.finished >= board.total else f", ETA {duration(remaining)}"
    return f"({duration(max(elapsed, 0.0))}{eta})"
