"""The memory and cores this process may use: the machine's, or what a container leaves of them."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
OWN_CGROUPS: Final = Path("/proc/self/cgroup")
NO_LIMIT: Final = 1 << 60
"""cgroup v1 writes no limit as a number near 2**63."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this process may use.

    Attributes:
        memory: bytes that are free or can be freed, within the container's limit.
        cores: cores it may run on, at least 1.
        limited_by: "machine", or the file that holds the container's memory limit.
    """

    memory: int
    cores: int
    limited_by: str = "machine"


def read(*, root: Path = CGROUP_ROOT, own: Path = OWN_CGROUPS) -> Machine:
    """The machine as it is now."""
    available = psutil.virtual_memory().available
    folders = list(cgroup_folders(root, own))
    limits = [(limit, file) for folder in folders for limit, file in _memory_left(folder)]
    left, file = min(limits, default=(NO_LIMIT, ""))
    cores = min([_own_cores(), *(quota for folder in folders for quota in _core_quota(folder))])
    return Machine(
        memory=max(min(available, left), 0),
        cores=max(cores, 1),
        limited_by=file if left < available else "machine",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """The page files (Windows) or swap space, in bytes."""

    total: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What Windows may promise to programs, in bytes; `limit` is memory and page files together."""

    physical: int
    limit: int
    left: int


class MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        ("physical", ctypes.c_ulonglong),
        ("physical_left", ctypes.c_ulonglong),
        ("commit_limit", ctypes.c_ulonglong),
        ("commit_left", ctypes.c_ulonglong),
        ("virtual", ctypes.c_ulonglong * 3),
    )


def commit() -> Commit | None:
    """Windows' promise to this process; None on other systems."""
    if sys.platform != "win32":
        return None
    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    limit, left = int(status.commit_limit), int(status.commit_left)
    return Commit(physical=int(status.physical), limit=limit, left=left)


def swap() -> Swap:
    """The page files as they are now.

    Windows tells what is free by a performance counter, and those may be switched off: then as much counts as
    free as may still be promised.
    """
    try:
        found = psutil.swap_memory()
    except RuntimeError:
        promised = commit()
        total = 0 if promised is None else max(promised.limit - promised.physical, 0)
        return Swap(total=total, free=0 if promised is None else min(total, promised.left))
    return Swap(total=found.total, free=found.free)


def cgroup_folders(root: Path, own: Path) -> Iterator[Path]:
    """The folders that may limit this process: its cgroups and all above them, v1 and v2.

    Inside a container `own` often names a path of the host that is not mounted; the root holds the limits.
    """
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, controllers, inside = [*line.split(":", 2), "", ""][:3]
        mounts = [root / name for name in controllers.split(",")] if controllers else [root]
        mounts.append(root / controllers)
        for mount in dict.fromkeys(mounts):
            folder = mount / inside.lstrip("/")
            yield from (f for f in (folder, *folder.parents) if f.is_relative_to(mount) and f.is_dir())


def _memory_left(folder: Path) -> Iterator[tuple[int, str]]:
    """Bytes left below the limit of a cgroup; the page cache it can drop counts as left."""
    for limit_name, used_name, cache_name in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = _number(folder / limit_name)
        if limit is not None and limit < NO_LIMIT:
            used = _number(folder / used_name) or 0
            yield (
                limit - max(used - _statistic(folder / "memory.stat", cache_name), 0),
                str(folder / limit_name),
            )


def _core_quota(folder: Path) -> Iterator[int]:
    words = _words(folder / "cpu.max") or _words(folder / "cpu.cfs_quota_us") + _words(
        folder / "cpu.cfs_period_us"
    )
    if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]) > 0:  # noqa: PLR2004 - quota, period
        yield max(round(int(words[0]) / int(words[1])), 1)


def _own_cores() -> int:
    process = psutil.Process()
    if hasattr(process, "cpu_affinity"):  # not on macOS
        return len(process.cpu_affinity() or []) or 1
    return psutil.cpu_count() or 1


def _words(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def _number(file: Path) -> int | None:
    words = _words(file)
    return int(words[0]) if len(words) == 1 and words[0].isdecimal() else None


def _statistic(file: Path, name: str) -> int:
    words = _words(file)
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    return int(pairs[name]) if pairs.get(name, "").isdecimal() else 0
