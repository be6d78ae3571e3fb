"""The folder of a CUDA toolkit, as people name it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath


def above_bin(home: str) -> str | None:
    """The folder above a path that ends in `bin`, which no toolkit does; Windows and POSIX paths alike.

    CMake and torch both append `bin` themselves.
    """
    windows = "\\" in home or ":" in home[:2]
    path = PureWindowsPath(home) if windows else PurePosixPath(home)
    return str(path.parent) if path.name.lower() == "bin" else None


def holds_nvcc(home: Path) -> bool:
    """Whether a folder is a CUDA toolkit."""
    return any((home / "bin" / name).is_file() for name in ("nvcc", "nvcc.exe"))
