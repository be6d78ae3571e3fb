"""A running build in a pipe or the log of a runner: a line for each step and each finished edge."""

from __future__ import annotations

from rich.console import Console
from typing_extensions import assert_never

from winvllm_build.build.engine.record import Outcome
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
                self._say(edge_line(event, board))
            case EdgeEnded():
                if event.record.outcome is Outcome.RETRIED:
                    self._say(f"  {label_of(event.record.edge)}: {outcome_words(event.record.outcome)}")
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


def edge_line(edge: EdgeDone, board: Board) -> str:
    """`[12/370] csrc/topk.cu 1 min 37 s, 1.2 GB (3 min 07 s, ETA 1 h 20 min)`."""
    record = board.record_of(edge)
    head = f"[{edge.finished}/{edge.total}] "
    remaining = edge.remaining if board.remaining is None else board.remaining
    eta = f", ETA {duration(remaining)}" if remaining is not None and edge.finished != edge.total else ""
    tail = f"({duration(edge.elapsed)}{eta})"
    if record is None:
        return f"{head}{'FAILED ' if edge.failed else ''}{edge.title} {tail}"
    failed = "FAILED " if edge.failed or record.outcome is Outcome.FAILED else ""
    facts = [duration(record.seconds)]
    if record.memory:
        facts.append(memory_size(record.memory))
    if not failed and (words := outcome_words(record.outcome)):
        facts = [words]
    return f"{head}{failed}{label_of(record.edge)} {', '.join(facts)} {tail}"
