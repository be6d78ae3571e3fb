"""A program run to its end with its time, processor time and greatest memory."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from winvllm_build import process

PAUSE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What a program left.

    Attributes:
        code: its exit code; of one that was ended it says nothing.
        lines: its joined output.
        late: it was ended, because it took too long or the run was interrupted.
        seconds: wall time.
        cpu: processor time in seconds, to a tenth.
        peak: the most resident memory in bytes, as far as looking every tenth of a second shows it.
    """

    code: int
    lines: tuple[str, ...]
    late: bool
    seconds: float
    cpu: float
    peak: int


def run(
    args: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout: float,
    stop: threading.Event | None = None,
) -> Ran:
    """Run a program; one that takes longer than `timeout` seconds is ended with all it started.

    Args:
        args: program and arguments.
        env: the complete environment.
        cwd: working folder.
        timeout: in seconds.
        stop: ends it once it is set: only the main thread is interrupted by Ctrl-C.

    Raises:
        ToolchainError: it cannot be started.
    """
    lines: list[str] = []
    watch = _Watch(timeout, stop or threading.Event())
    begun = time.monotonic()
    try:
        code = process.stream(args, on_line=lines.append, cwd=cwd, env=env, on_start=watch.begin)
    finally:
        watch.end()
    return Ran(
        code=code, lines=tuple(lines), late=watch.late, seconds=time.monotonic() - begun, cpu=watch.cpu,
        peak=watch.peak,
    )  # fmt: skip


class _Watch:
    """Looks at a process from a thread of its own until it is told to end."""

    def __init__(self, timeout: float, stop: threading.Event) -> None:
        self._stop = stop
        self.cpu = 0.0
        self.peak = 0
        self.late = False
        self._deadline = time.monotonic() + timeout
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, pid: int) -> None:
        self._thread = threading.Thread(target=self._look, args=(pid,), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self, pid: int) -> None:
        with contextlib.suppress(psutil.Error):
            watched = psutil.Process(pid)
            while not self._over.wait(PAUSE):
                times = watched.cpu_times()
                self.cpu = times.user + times.system
                self.peak = max(self.peak, watched.memory_info().rss)
                if (time.monotonic() > self._deadline or self._stop.is_set()) and not self.late:
                    self.late = True
                    process.end_tree(pid)
