"""Compilers whose launcher was killed under them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import psutil

from winvllm_build import process


def end(pid: int, group: int, *, since: float) -> None:
    """End what a dead launcher left running.

    Args:
        pid: the launcher.
        group: its process group on POSIX, 0 if unknown; compilers are in it.
        since: when it asked (seconds since the epoch); what it started is younger; numbers come again.
    """
    if sys.platform != "win32":
        if group > 1:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        return
    for orphan in process.orphans(pid, created=since):
        with contextlib.suppress(psutil.Error, OSError):
            process.end_tree(orphan)
