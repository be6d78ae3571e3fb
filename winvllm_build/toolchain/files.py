"""Trees of files put in place, failing with the file system's own error: it tells a full disk from others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def copy_tree(
    source: Path,
    target: Path,
    *,
    keep: Callable[[Path], bool] = lambda _: True,
    put: Callable[[Path, Path], object] = shutil.copy2,
) -> None:
    """Every file of `source` below `target`.

    Args:
        source: an existing folder.
        target: made where it is missing.
        keep: takes a file of `source`.
        put: writes one file; `link_or_copy` needs no second copy on the disk.
    """
    for file in sorted(source.rglob("*")):
        if file.is_file() and keep(file):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            put(file, place)


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link: only for files that nobody writes to afterwards."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
