"""A server for as long as a block needs it; what it prints goes to a file."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from winvllm_build.errors import EngineError, WinvllmError
from winvllm_build.serving import server
from winvllm_build.serving.plan import Plan
from winvllm_build.serving.server import Told
from winvllm_build.serving.stops import Stops

LOOK_SECONDS: Final = 0.1


@contextmanager
def lent(plan: Plan, log: Path, inherited: Mapping[str, str]) -> Iterator[None]:
    """The server of a plan, up when the block begins and stopped at its end.

    Raises:
        WinvllmError: it did not start, as `server.serve` raises it.
    """
    stops, up = Stops(), threading.Event()
    problems: list[WinvllmError] = []
    with log.open("a", encoding="utf-8", errors="replace") as file:

        def output(text: str) -> None:
            file.write(text)
            file.flush()

        def run() -> None:
            told = Told(output=output, ready=lambda _: up.set(), stopping=lambda: None)
            try:
                server.serve(plan, told, stops, inherited)
            except WinvllmError as problem:
                problems.append(problem)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            while thread.is_alive() and not up.wait(LOOK_SECONDS):
                continue
            if problems:
                raise _with_log(problems[0], log)
            yield
        finally:
            stops.ask()
            thread.join()


def _with_log(problem: WinvllmError, log: Path) -> WinvllmError:
    if isinstance(problem, EngineError):
        return EngineError(f"{problem.message}; its output: {log}", fix=problem.fix)
    return problem
