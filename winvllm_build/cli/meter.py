"""How far a long command is, on stderr: one line that is overwritten, or now and then a new one."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final

from typing_extensions import Self

from winvllm_build.cli import render

PAUSE: Final = 5.0
"""Seconds between two lines of progress where lines stay."""


class Meter:
    """Words of progress; an ordinary message in between does not end up on the same line."""

    def __init__(self) -> None:
        self._overwrites = sys.stderr.isatty()
        self._width = 0
        self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._clear()

    def show(self, words: str) -> None:
        """What is being done now."""
        if self._overwrites:
            sys.stderr.write(f"\r{words:<{self._width}}")
            sys.stderr.flush()
            self._width = len(words)
        elif time.monotonic() - self._told >= PAUSE:
            self._told = time.monotonic()
            render.note(words)

    def note(self, words: str) -> None:
        """A message that stays."""
        self._clear()
        render.note(words)

    def _clear(self) -> None:
        if self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")
            sys.stderr.flush()
            self._width = 0
