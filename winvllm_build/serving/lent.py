"""A server for as long as a block needs it; what it prints goes to a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from winvllm_build.errors import EngineError, InterruptedRunError
from winvllm_build.serving import server
from winvllm_build.serving.plan import Plan
from winvllm_build.serving.server import Told
from winvllm_build.serving.stops import Stops

LOOK_SECONDS: Final = 0.1
NOTICED_SECONDS: Final = 2.0


@contextmanager
def lent(plan: Plan, log: Path, inherited: Mapping[str, str]) -> Iterator[None]:
    """The server of a plan, up when the block begins and stopped at its end.

    Raises:
        WinvllmError: it did not start or ended by itself, as `server.serve` raises it; that comes before what
            the block raised for want of a server.
    """
    stops, up = Stops(), threading.Event()
    problems: list[Exception] = []
    with log.open("a", encoding="utf-8", errors="replace") as file:

        def output(text: str) -> None:
            file.write(text)
            file.flush()

        def run() -> None:
            told = Told(output=output, ready=lambda _: up.set(), stopping=lambda: None)
            try:
                server.serve(plan, told, stops, inherited)
            except Exception as problem:  # noqa: BLE001 - raised again in the thread that waits
                problems.append(problem)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            while thread.is_alive() and not up.wait(LOOK_SECONDS):
                continue
            if thread.is_alive():
                yield
        except EngineError:
            thread.join(NOTICED_SECONDS)  # where the server has died, its own reason comes first
            _end(stops, thread)
            if not problems:
                raise
        finally:
            _end(stops, thread)
    if problems:
        raise _with_log(problems[0], log)


def _end(stops: Stops, thread: threading.Thread) -> None:
    """Let the server finish; Ctrl-C meanwhile ends it at once."""
    if thread.is_alive():
        stops.ask()
    while thread.is_alive():
        try:
            thread.join(LOOK_SECONDS)
        except (KeyboardInterrupt, InterruptedRunError):
            stops.ask()


def _with_log(problem: Exception, log: Path) -> Exception:
    if isinstance(problem, EngineError):
        return EngineError(f"{problem.message}; its output: {log}", fix=problem.fix)
    return problem
