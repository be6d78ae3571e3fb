"""Words on the terminal: results on stdout, progress and errors on stderr, `--json` data only."""

from __future__ import annotations

import json
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from winvllm_build.errors import WinvllmError
from winvllm_build.quantities import duration, memory_size, size

__all__ = ["console", "data", "duration", "error", "memory_size", "note", "out", "raw", "size"]

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console(*, stderr: bool = False) -> Console:
    """The console for one of the two streams; colours follow NO_COLOR and the terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False, markup=False)


def prepare() -> None:
    """Load the console beside work of other programs, for a command that will want it."""
    threading.Thread(target=console).start()


def out(text: str) -> None:
    sys.stdout.write(text + "\n")


def raw(content: bytes) -> None:
    """Exact bytes on stdout."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def data(value: Any) -> None:  # noqa: ANN401 - whatever json can hold
    out(json.dumps(value, indent=2, sort_keys=True, default=str))


def error_data(problem: WinvllmError) -> dict[str, Any]:
    return {
        "class": type(problem).__name__,
        "exit_code": problem.exit_code,
        "fix": problem.fix,
        "message": problem.message,
    }


def error(problem: WinvllmError, *, as_json: bool) -> None:
    """One clear message; as JSON on stdout when the command was asked for JSON."""
    if as_json:
        data({"error": error_data(problem)})
    terminal = console(stderr=True)
    terminal.print("error: ", style="bold red", end="")
    terminal.print(problem.message)
    if problem.fix is not None:
        terminal.print("fix: ", style="bold", end="")
        terminal.print(problem.fix)
