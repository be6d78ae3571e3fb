"""Compilers whose launcher was killed under them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import psutil

from winvllm_build import process


def end(pid: int, group: int) -> None:
    """End what a dead launcher left running.

    Args:
        pid: the launcher.
        group: its process group on POSIX, 0 if unknown; compilers are in it.
    """
    if sys.platform != "win32":
        if group > 1:
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
        return
    for orphan in psutil.process_iter(["ppid"]):
        if orphan.info["ppid"] == pid:
            process.end_tree(orphan.pid)
