"""A program that is watched over to its end, with all that it started, whether it still lives or not."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from winvllm_build import process
from winvllm_build.process import Background

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attended(Background):
    """A program on pipes: its joined output is read here, and the end of its input is ours to say."""

    def read(self) -> bytes:
        """What it printed since, at least a byte; nothing once all who could print have ended."""
        return b"" if self.child.stdout is None else os.read(self.child.stdout.fileno(), 1 << 16)

    def close_input(self) -> None:
        if self.child.stdin is not None:
            self.child.stdin.close()

    def kill(self) -> None:
        """End it and what it started, at once."""
        process.kill_tree(self.pid)


@contextlib.contextmanager
def attended(
    args: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    shown: Sequence[str] | None = None,
) -> Iterator[Attended]:
    """A program in a session of its own, where Ctrl-C does not reach it; the block's end is its tree's.

    What it started ends too where the program itself has ended before: found by its session on POSIX, by a
    job object on Windows.

    Args:
        args: program and arguments; never a shell string.
        env: the complete environment; None inherits.
        shown: what the log shows of `args`, where they hold a secret.

    Raises:
        ToolchainError: the program does not exist or cannot be started.
    """
    import psutil  # noqa: PLC0415 - it costs every command 10 ms, and only ended programs need it

    argv = tuple(os.fspath(a) for a in args)
    log.debug("+ %s %s", shlex.join(shown or argv), process.environment_difference(env))
    with process.started(argv, cwd=None, env=env, merge=True) as child:
        end_job = _in_a_job(int(getattr(child, "_handle", 0)))
        created = time.time()
        with contextlib.suppress(psutil.NoSuchProcess):  # Windows, of one that has ended already
            created = psutil.Process(child.pid).create_time()
        try:
            yield Attended(child)
        finally:
            process.end_session(child.pid, created=created)
            end_job()
            child.wait()


def _in_a_job(handle: int) -> Callable[[], None]:
    """Put a program and all that it will start into a job of Windows.

    The job does not end with us: an engine whose starter is killed still stops in order.

    Args:
        handle: of the program's process, as its Popen holds it.

    Returns:
        What ends every process of the job; elsewhere, and where Windows gives out no job, it does nothing.
    """
    if sys.platform != "win32":
        return lambda: None
    import ctypes  # noqa: PLC0415 - Windows alone has what is asked of it
    from ctypes import wintypes  # noqa: PLC0415 - as above

    kernel = ctypes.WinDLL("kernel32")
    kernel.CreateJobObjectW.restype = wintypes.HANDLE
    kernel.CreateJobObjectW.argtypes = (wintypes.LPVOID, wintypes.LPCWSTR)
    kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
    kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
    kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
    job = kernel.CreateJobObjectW(None, None)
    if job and not kernel.AssignProcessToJobObject(job, handle):
        log.debug("no job for the process of handle %d", handle)

    def end() -> None:
        if job:
            kernel.TerminateJobObject(job, 1)
            kernel.CloseHandle(job)

    return end
