"""A running build on the terminal: a live line with ETA there, plain lines in a pipe or log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from typing_extensions import assert_never

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
    Watcher,
)
from winvllm_build.cli.render import console, duration


@contextlib.contextmanager
def watching() -> Iterator[Watcher]:
    """A watcher for the length of a build, on stderr: stdout is for the result."""
    terminal = console(stderr=True)
    if terminal.is_terminal:
        with _Live(terminal) as live:
            yield live
    else:
        yield _Plain(terminal)


class _Plain:
    def __init__(self, terminal: Console) -> None:
        self.terminal = terminal

    def __call__(self, event: Event) -> None:
        match event:
            case StepBegun():
                self.terminal.print(f"{event.step.value}: {event.title}")
            case StepDone():
                self.terminal.print(f"{event.step.value}: {event.summary} ({duration(event.seconds)})")
            case Note():
                self.terminal.print(f"  {event.text}")
            case EdgeDone():
                self.terminal.print(edge_line(event))
            case CompileBegun() | EdgeStarted() | EdgeEnded() | Sample():
                pass
            case _:
                assert_never(event)


class _Live:
    def __init__(self, terminal: Console) -> None:
        self.terminal = terminal
        self.progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[eta]}"),
            TextColumn("{task.fields[title]}", style="dim"),
            console=terminal,
            transient=True,
        )
        self.task: TaskID | None = None

    def __enter__(self) -> Watcher:
        self.progress.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        match event:
            case StepBegun():
                self.terminal.print(f"{event.step.value:>12}  {event.title}", style="bold")
            case StepDone():
                self._drop()
                self.terminal.print(f"{'':>12}  {event.summary} ({duration(event.seconds)})", style="green")
            case Note():
                self.terminal.print(f"{'':>12}  {event.text}")
            case EdgeDone():
                self._edge(event)
            case CompileBegun() | EdgeStarted() | EdgeEnded() | Sample():
                pass
            case _:
                assert_never(event)

    def _edge(self, edge: EdgeDone) -> None:
        if edge.failed:
            self.terminal.print(edge_line(edge), style="red")
        if self.task is None:
            self.task = self.progress.add_task("compile", total=edge.total, eta="", title="")
        self.progress.update(
            self.task, completed=edge.finished, total=edge.total, eta=_eta(edge), title=edge.title[-60:]
        )

    def _drop(self) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
            self.task = None


def edge_line(edge: EdgeDone) -> str:
    """`[12/370] FAILED title (3 min 07 s, ETA 1 h 20 min)`."""
    failed = "FAILED " if edge.failed else ""
    return f"[{edge.finished}/{edge.total}] {failed}{edge.title} ({duration(edge.elapsed)}{_eta(edge, ', ')})"


def _eta(edge: EdgeDone, before: str = "") -> str:
    if edge.remaining is None or edge.finished == edge.total:
        return ""
    return f"{before}ETA {duration(edge.remaining)}"
