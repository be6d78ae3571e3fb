"""The folder of a CUDA toolkit, as people name it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

MARKS: Final = re.compile(r"""[\s;,"'$`<>|*?\[\]{}#&()!^]|\\""")
"""Upstream puts `-I<toolkit>/include` into the compiler's flags, where nobody quotes it."""


def above_bin(home: str) -> str | None:
    """The folder above a path that ends in `bin`, which no toolkit does; Windows and POSIX paths alike.

    CMake and torch both append `bin` themselves.
    """
    windows = "\\" in home or ":" in home[:2]
    path = PureWindowsPath(home) if windows else PurePosixPath(home)
    return str(path.parent) if path.name.lower() == "bin" else None


def holds_nvcc(home: Path) -> bool:
    """Whether a folder is a CUDA toolkit."""
    return any(is_there(home / "bin" / name) for name in ("nvcc", "nvcc.exe"))


def is_there(file: Path) -> bool:
    """Whether this file can be found; one in a folder that nobody may look into cannot."""
    try:
        return file.is_file()
    except OSError:  # Python says only of some errors that there is no such file
        return False


def first_mark(home: str) -> str | None:
    """What cuts a toolkit's path into words, if it has such a mark; both kinds of slashes are fine."""
    found = MARKS.search(home.replace("\\", "/") if ":" in home[:2] or "\\\\" in home[:2] else home)
    return None if found is None else found[0]
