"""An iteration that is read in a thread of its own, so that Ctrl-C is heard while nothing comes."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

T = TypeVar("T")
LOOK_SECONDS: Final = 0.2
LAST_SECONDS: Final = 1.0
CONNECTED: Final = (".connect_tcp.complete", ".start_tls.complete")
"""How the client's transport names the steps that give it a connection."""


@dataclass(frozen=True, slots=True)
class _Ended:
    problem: BaseException | None


def apart(source: Iterator[T], hang_up: Callable[[], None]) -> Generator[T, None, None]:
    """What `source` gives, as it comes; Python on Windows hears no Ctrl-C in the middle of a `recv`.

    Args:
        source: may wait as long as it likes.
        hang_up: called at the end in any case; it makes a source that still waits fail.
    """
    found: queue.SimpleQueue[T | _Ended] = queue.SimpleQueue()

    def read() -> None:
        try:
            for one in source:
                found.put(one)
        except BaseException as problem:  # noqa: BLE001 - raised again where it is waited for
            found.put(_Ended(problem))
        else:
            found.put(_Ended(None))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while True:
            one = _waited_for(found)  # in a call: Ctrl-C at a jump of a loop passes `finally` by
            if not isinstance(one, _Ended):
                yield one
            elif one.problem is None:
                return
            else:
                raise one.problem
    finally:
        hang_up()
        reader.join(LAST_SECONDS)


def _waited_for(found: queue.SimpleQueue[T]) -> T:
    """In short turns, between which Ctrl-C is heard on every system."""
    while True:
        with contextlib.suppress(queue.Empty):
            return found.get(timeout=LOOK_SECONDS)


@dataclass(slots=True)
class Line:
    """The connection of one request, which another thread can cut: its server hears the end at once."""

    stream: Any = None
    is_cut: bool = False

    def trace(self, name: str, info: dict[str, Any]) -> None:
        """What the transport of a request tells about it.

        Raises:
            InterruptedError: it is cut, and sends nothing any more.
        """
        if self.is_cut:
            raise InterruptedError
        if name.endswith(CONNECTED):
            self.stream = info["return_value"]

    def cut(self) -> None:
        self.is_cut = True
        if self.stream is not None:
            with contextlib.suppress(OSError, ValueError):  # it may be closed by now
                self.stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
