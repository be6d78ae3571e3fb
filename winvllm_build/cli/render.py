"""Words on the terminal: results on stdout, progress and errors on stderr, `--json` data only."""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from winvllm_build.errors import WinvllmError

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console(*, stderr: bool = False) -> Console:
    """The console for one of the two streams; colours follow NO_COLOR and the terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True, emoji=False, markup=False)


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


def error(problem: WinvllmError, *, as_json: bool) -> None:
    """One clear message; as JSON on stdout when the command was asked for JSON."""
    if as_json:
        data(
            {
                "error": {
                    "class": type(problem).__name__,
                    "exit_code": problem.exit_code,
                    "fix": problem.fix,
                    "message": problem.message,
                }
            }
        )
    terminal = console(stderr=True)
    terminal.print("error: ", style="bold red", end="")
    terminal.print(problem.message)
    if problem.fix is not None:
        terminal.print("fix: ", style="bold", end="")
        terminal.print(problem.fix)


def size(count: int) -> str:
    """`517 B`, `35 kB`, `48.2 MB`."""
    if count < 1000:  # noqa: PLR2004 - SI steps
        return f"{count} B"
    if count < 1_000_000:  # noqa: PLR2004 - SI steps
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB"


def memory_size(count: float) -> str:
    """`430 MB`, `5.5 GB`, `128 GB`."""
    if count < 1e9:  # noqa: PLR2004 - SI steps
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.1f} GB" if count < 1e11 else f"{count / 1e9:.0f} GB"  # noqa: PLR2004 - three digits


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 07 s`, `2 h 05 min`."""
    if seconds < 10:  # noqa: PLR2004 - below ten a tenth matters
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004 - seconds in an hour
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
