"""The server's life: engine and HTTP side up, signals, engine and port down."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn

from .aliases import Named
from .answers import Answerer
from .application import application
from .engine import Engine
from .listening import place
from .metrics import Metrics
from .model import load
from .options import Options
from .prompts import Prompts
from .server import Site
from .sizing import free_bytes, room_for

FINISH_SECONDS = 5
"""What runs at a stop has this long to end by itself."""
DEAD_SECONDS = 3.0
"""How long a dead engine is still reported before the process ends."""


class Quiet(uvicorn.Server):
    """Ends at a signal without raising it again, so that the process ends with 0."""

    should_exit: bool
    force_exit: bool

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._says_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._says_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        names = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last one is Windows'
        wanted = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {each: signal.signal(each, self._stop) for each in wanted}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.force_exit = self.should_exit
        self.should_exit = True


async def _watch(engine: Engine, server: uvicorn.Server) -> None:
    await engine.died.wait()
    await asyncio.sleep(DEAD_SECONDS)
    server.should_exit = True


async def _run(server: Quiet, engine: Engine, sock: socket.socket) -> None:
    engine.start(asyncio.get_running_loop())
    watch = asyncio.create_task(_watch(engine, server))
    try:
        await server.serve(sockets=[sock])
    finally:
        watch.cancel()


def serve(
    options: Options, named: Named, sock: socket.socket, say: Callable[[str], None]
) -> Exception | None:
    """Until a signal, or until the engine dies, whose error is returned.

    Raises:
        StartError: the model cannot be loaded.
    """
    loaded = load(named.target, options)
    room = room_for(
        loaded.needs,
        length=loaded.length,
        requests=options.max_num_seqs,
        batch_tokens=options.max_num_batched_tokens,
        memory=free_bytes(loaded.model.device, options.gpu_memory_utilization),
    )
    engine = Engine(loaded, room, seed=options.seed)
    prompts = Prompts(loaded)
    answerer = Answerer(engine=engine, loaded=loaded, metrics=Metrics(named.names[0]))
    site = Site(named=named, answerer=answerer, prompts=prompts, api_keys=options.api_keys)
    settings = uvicorn.Config(
        application(site, options.allowed_origins),
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=FINISH_SECONDS,
    )
    server = Quiet(settings, lambda: say(f"fallback: ready at {place(sock)}"))
    try:
        asyncio.run(_run(server, engine, sock))
    finally:
        engine.stop()
        prompts.close()
    return engine.error
