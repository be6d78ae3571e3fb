"""Programs that run already: those that started us, and trees that are ended; reached through `process`."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path

TERMINATE_SECONDS = 5.0
"""How long an ended process tree gets before it is killed."""


def ancestors() -> tuple[Path, ...]:
    """The programs that started us, the nearest first; those that may not be looked at are left out."""
    import psutil

    found: list[Path] = []
    for parent in psutil.Process().parents():
        with contextlib.suppress(psutil.Error, OSError):
            found.append(Path(parent.exe()))
    return tuple(found)


def end_tree(pid: int, *, created: float | None = None) -> bool:
    """End a process and everything it started; True if there was something to end.

    Args:
        pid: the root of the tree.
        created: the start time noted for it (seconds since the epoch); a reused pid is left alone.
    """
    import psutil

    try:
        root = psutil.Process(pid)
        if created is not None and abs(root.create_time() - created) > 1.0:
            return False
        family = [root, *root.children(recursive=True)]  # a shell whose command ends first runs the next one
    except psutil.NoSuchProcess:
        return False
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.terminate()
    _, alive = psutil.wait_procs(family, timeout=TERMINATE_SECONDS)
    for member in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(alive, timeout=TERMINATE_SECONDS)
    return True


def kill_tree(pid: int) -> None:
    """The same at once, without asking."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for member in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()


def end_session(pid: int, *, created: float) -> bool:
    """End what is left of a tree that `stream` started, its root alive or not; True if there was something.

    Args:
        pid: the root, which led its own session on POSIX; its orphans still carry that session.
        created: the root's start time (seconds since the epoch), so that a reused pid is left alone.
    """
    import psutil

    found = end_tree(pid, created=created)
    if sys.platform == "win32":
        for orphan in orphans(pid, created=created):
            with contextlib.suppress(psutil.Error, OSError):
                found = end_tree(orphan) or found
        return found
    for orphan in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getsid(orphan.pid) == pid and orphan.create_time() >= created - 1.0:
                found = end_tree(orphan.pid) or found
    return found


def orphans(pid: int, *, created: float) -> tuple[int, ...]:
    """What a process that is gone has started, where children keep their parent's number, as on Windows.

    Args:
        pid: its number, which another process may have by now.
        created: its start time (seconds since the epoch).
    """
    import psutil

    rows = [
        one.info for one in psutil.process_iter(["pid", "ppid", "create_time"]) if one.info["create_time"]
    ]
    later = next((row["create_time"] for row in rows if row["pid"] == pid), math.inf)
    return tuple(
        row["pid"] for row in rows if row["ppid"] == pid and created - 1.0 <= row["create_time"] < later
    )


def end_orphans(program: str, argument: str) -> int:
    """End what a killed run left running: trees of `program` that were given `argument`; how many.

    The caller holds the lock that a living run would hold.
    """
    import psutil

    ended = 0
    for found in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):  # OSError: Windows, of a process that is just ending
            if Path(found.name()).stem.lower() == program and argument in found.cmdline():
                ended += end_tree(found.pid)
    return ended
