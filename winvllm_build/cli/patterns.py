"""Files named with wildcards: cmd and PowerShell hand them to the program as they were typed."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from winvllm_build.errors import UsageError

MARKS: Final = frozenset("*?[")


def files(words: Iterable[str]) -> tuple[Path, ...]:
    """The files that are meant, each once; a word that names a file is no pattern, whatever is in it.

    Raises:
        UsageError: a pattern fits no file.
    """
    found: dict[Path, None] = {}
    for word in words:
        found.update(dict.fromkeys(_meant(word)))
    return tuple(found)


def _meant(word: str) -> list[Path]:
    if MARKS.isdisjoint(word) or Path(word).exists():
        return [Path(word)]
    matches = sorted(path for path in map(Path, glob.glob(word)) if path.is_file())  # noqa: PTH207 - a path may be absolute
    if not matches:
        raise UsageError(f"no file matches {word}", fix="check the folder; a pattern is *, ? or [abc]")
    return matches
