"""How far a `git fetch` is, read from what git says by GitPython; git itself is run by `process`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from git import RemoteProgress

INTERVAL: Final = 2.0
"""Seconds between two reports."""
STAGES: Final = {
    RemoteProgress.COUNTING: "counting objects",
    RemoteProgress.COMPRESSING: "compressing objects",
    RemoteProgress.RECEIVING: "receiving objects",
    RemoteProgress.RESOLVING: "resolving deltas",
}


def handler(url: str, on_event: Callable[[str], None]) -> Callable[[str], None]:
    """Takes git's lines and tells `on_event` about every two seconds where the transfer stands."""
    return _FetchProgress(url, on_event).new_message_handler()


class _FetchProgress(RemoteProgress):
    def __init__(self, url: str, on_event: Callable[[str], None]) -> None:
        super().__init__()
        self._url, self._tell = url, on_event
        self._told = time.monotonic()

    def update(
        self,
        op_code: int,
        cur_count: str | float,
        max_count: str | float | None = None,
        message: str = "",
    ) -> None:
        stage = STAGES.get(op_code & self.OP_MASK)
        now = time.monotonic()
        if stage is None or not max_count or now - self._told < INTERVAL:
            return
        self._told = now
        amount = f", {message}" if message else ""
        self._tell(f"{self._url}: {stage} {100 * float(cur_count) / float(max_count):.0f} %{amount}")
