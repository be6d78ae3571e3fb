"""What a machine has besides its GPUs."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from winvllm_build.profile import machine

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine, without its GPUs.

    Attributes:
        windows: whether it runs Windows.
        memory_total: bytes of RAM, within a container's limit.
        memory_free: bytes of it that are free or can be freed.
        page_file_free: bytes free in the page file (Windows) or the swap space.
        cores: cores this process may use.
        disk_free: bytes free where the build goes; None when the folder cannot be asked.
    """

    windows: bool
    memory_total: int
    memory_free: int
    page_file_free: int
    cores: int
    disk_free: int | None = None

    def as_data(self) -> dict[str, int | None]:
        """Plain values for `--json`; the system is told elsewhere."""
        return {
            "cores": self.cores,
            "disk_free": self.disk_free,
            "memory_free": self.memory_free,
            "memory_total": self.memory_total,
            "page_file_free": self.page_file_free,
        }


def read(folder: Path) -> Host:
    """The machine as it is now; `folder` is where builds go and may not exist yet."""
    own = machine.read()
    return Host(
        windows=sys.platform == "win32",
        memory_total=psutil.virtual_memory().total,
        memory_free=own.memory,
        page_file_free=machine.swap().free,
        cores=own.cores,
        disk_free=_disk_free(folder),
    )


def _disk_free(folder: Path) -> int | None:
    for place in (folder, *folder.parents):
        if place.is_dir():
            try:
                return psutil.disk_usage(os.fspath(place)).free
            except OSError:
                return None
    return None
