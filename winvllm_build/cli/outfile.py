"""Files that a user names to be written: a mistyped folder is refused before the work, not made."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.errors import UsageError


def require_folder(*files: Path | None) -> None:
    """Refuse files whose folder is not there, and folders.

    Raises:
        UsageError: a folder does not exist, or stands where the file is to be.
    """
    for file in files:
        if file is not None and file.is_dir():
            raise UsageError(f"{file} is a folder", fix="name a file in it")
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"the folder of {file} does not exist", fix=f'mkdir "{file.parent}"')
