"""Real .exe files that run a Python script: the launcher that pip puts before scripts on Windows."""

from __future__ import annotations

import contextlib
import io
import sys
import time
import zipfile
from pathlib import Path

import pip
import psutil

LAUNCHER = Path(pip.__file__).parent / "_vendor" / "distlib" / "t64.exe"


def program(path: Path, body: str) -> Path:
    """An executable file with this Python text inside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("__main__.py", f"import os, sys, time\n{body}\n")
    shebang = f'#!"{sys.executable}" -I -S\n'.encode()
    path.write_bytes(LAUNCHER.read_bytes() + shebang + packed.getvalue())
    return path


def left_over(before: set[int], *names: str) -> list[str]:
    """The programs of these names that were not there before and do not end within ten seconds."""
    left: list[str] = []
    for _ in range(100):
        left = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):  # Wine's OSError for a process that is ending
                if one.pid not in before and one.name() in names:
                    left.append(one.name())
        if not left:
            break
        time.sleep(0.1)
    return left
