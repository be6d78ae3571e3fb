"""Event loops of Windows: neither has signal handlers, and the default one watches no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SelectorEventLoop(asyncio.SelectorEventLoop):
    """What asyncio.SelectorEventLoop is on Windows."""

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: object) -> None:
        raise NotImplementedError

    def remove_signal_handler(self, sig: int) -> bool:
        raise NotImplementedError


class ProactorEventLoop(SelectorEventLoop):
    """The default loop; this stand-in polls, but refuses what the real one refuses."""

    add_reader = asyncio.AbstractEventLoop.add_reader
    remove_reader = asyncio.AbstractEventLoop.remove_reader
    add_writer = asyncio.AbstractEventLoop.add_writer
    remove_writer = asyncio.AbstractEventLoop.remove_writer


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    loop = ProactorEventLoop()
    asyncio.set_event_loop(loop)
    try:
        loop.set_debug(bool(debug))
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


CHANGED: dict[str, object] = {
    "ProactorEventLoop": ProactorEventLoop,
    "SelectorEventLoop": SelectorEventLoop,
    "new_event_loop": ProactorEventLoop,
    "run": run,
}
