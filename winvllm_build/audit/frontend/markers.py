"""Line markers: GNU's turned into `#line`, folders into names that are the same on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

MARKER: Final = re.compile(r'^# (\d+) "((?:[^"\\]|\\.)*)".*$')


class Names:
    """Files by short names: those of the tree relative to it, others as `torch/...`, `cuda/...`.

    Args:
        roots: folder to name; the tree's name is empty.
    """

    def __init__(self, roots: Mapping[Path, str]) -> None:
        self.roots = dict(sorted(roots.items(), key=lambda item: len(item[0].parts), reverse=True))
        self._starts = [
            (f"{root.as_posix()}/", f"{name}/" if name else "") for root, name in self.roots.items()
        ]
        self._known: dict[str, str] = {}

    def short(self, file: str) -> str:
        known = self._known.get(file)
        if known is None:
            path = file.replace("\\\\", "/")
            known = next(
                (name + path[len(start) :] for start, name in self._starts if path.startswith(start)), path
            )
            self._known[file] = known
        return known

    def file(self, short: str) -> Path:
        """The file that a short name means."""
        for root, name in self.roots.items():
            if name and short.startswith(f"{name}/"):
                return root / short[len(name) + 1 :]
        return next((root for root, name in self.roots.items() if not name), Path()) / short

    def options(self) -> list[str]:
        """Options of clang that make `__FILE__` speak the same language; the last that fits wins there."""
        return [f"-fmacro-prefix-map={start}={name}" for start, name in reversed(self._starts)]


def convert(text: Iterable[str], names: Names) -> Iterable[str]:
    """The preprocessor's output with `#line` for its markers.

    EDG keeps errors in what GNU markers call system headers to itself, and then stops without a word.

    Args:
        text: lines with their ends.
        names: the short names.
    """
    for line in text:
        match = MARKER.match(line) if line.startswith("# ") else None
        yield f'#line {match[1]} "{names.short(match[2])}"\n' if match else line
