"""A compiled file exchanged while a program may have it loaded.

Windows neither replaces nor removes the file of a loaded library, but renames it: such a file goes into
another folder of the same disk, and is removed by a later run, when no program has it any more.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import Final

from winvllm_build.workspace import replace

ATTEMPTS: Final = 4
"""Programs that only read the file are done with it by then."""


def put(source: Path, target: Path, aside: Path) -> None:
    """Copy a file to its place: whole, or not at all.

    Args:
        source: what is copied.
        target: where; it may be there already, and loaded.
        aside: a folder on the same disk.
    """
    aside.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = aside / f"{uuid.uuid4().hex}.part"
    shutil.copy2(source, part)
    try:
        replace(part, target, attempts=ATTEMPTS)
    except PermissionError:
        if os.name != "nt":
            raise
        _set_aside(target, aside)
        replace(part, target, attempts=ATTEMPTS)


def remove(file: Path, aside: Path) -> None:
    """Take a file from its place, which may be loaded."""
    try:
        file.unlink()
    except PermissionError:
        if os.name != "nt":
            raise
        _set_aside(file, aside)


def sweep(aside: Path) -> bool:
    """Remove what was set aside; whether nothing of it is in use any more."""
    shutil.rmtree(aside, ignore_errors=True)
    return not aside.exists()


def _set_aside(file: Path, aside: Path) -> None:
    aside.mkdir(parents=True, exist_ok=True)
    file.replace(aside / f"{uuid.uuid4().hex}.{file.name}")
