"""Files that a user names to be written: a mistyped folder is refused before the work, not made."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.errors import UsageError


def require_folder(*files: Path | None) -> None:
    """Refuse files whose folder is not there.

    Raises:
        UsageError: a folder does not exist.
    """
    for file in files:
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"the folder of {file} does not exist", fix=f'mkdir "{file.parent}"')
