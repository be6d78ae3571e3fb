"""The wish to stop: Ctrl-C, a signal, a window that closes; counted, so that the second one means at once."""

from __future__ import annotations

import contextlib
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
CLOSING: Final = (2, 5, 6)
"""CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT and CTRL_SHUTDOWN_EVENT of Windows."""
WINDOW_SECONDS: Final = 4.5
"""Windows ends a program five seconds after it was told that its window closes."""


@dataclass(slots=True)
class Stops:
    """How often it was asked for.

    Attributes:
        asked: the number of times.
        hurry: whether a window closes, after which the system waits for nobody.
        ended: set when all has ended.
    """

    asked: int = 0
    hurry: bool = False
    ended: threading.Event = field(default_factory=threading.Event)
    _wake: queue.SimpleQueue[None] = field(default_factory=queue.SimpleQueue)
    """An Event's lock could be held by the very thread that a signal's handler interrupts."""

    def ask(self) -> None:
        self.asked += 1
        self._wake.put(None)

    def wait(self, seconds: float) -> None:
        """Until it is asked for, at most so long."""
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=seconds)

    def closing(self, event: int) -> bool:
        """What Windows tells a console program; the answer means that it was taken care of."""
        if event not in CLOSING:
            return False  # Ctrl-C and Ctrl-Break come as signals
        self.hurry = True
        self.ask()
        self.ended.wait(WINDOW_SECONDS)
        return True


@contextlib.contextmanager
def listening() -> Iterator[Stops]:
    """Everything that means stop is counted in this block; a terminal that ends is ignored under nohup."""
    stops = Stops()

    def heard(number: int, frame: FrameType | None) -> None:
        del number, frame
        stops.ask()

    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number == signal.SIGINT:  # a shell's background ignores Ctrl-C
            signal.signal(number, heard)
    try:
        with _console(stops.closing):
            try:
                yield stops
            finally:
                stops.ended.set()  # the console's handler, which is waited for below, waits for it
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def _console(closing: Callable[[int], bool]) -> Iterator[None]:
    """Windows' events of the console, which Python has no signals for."""
    if sys.platform != "win32":
        yield
        return
    import ctypes  # noqa: PLC0415 - Windows alone has what is asked of it
    from ctypes import wintypes  # noqa: PLC0415 - as above

    handler = ctypes.WINFUNCTYPE(wintypes.BOOL, wintypes.DWORD)(closing)
    ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, True)  # noqa: FBT003 - the interface is Windows'
    try:
        yield
    finally:
        ctypes.windll.kernel32.SetConsoleCtrlHandler(handler, False)  # noqa: FBT003 - as above
