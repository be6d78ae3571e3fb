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
from .errors import EngineDeadError, StartError
from .listening import place
from .metrics import Metrics
from .model import load, unusable
from .options import Options
from .prompts import Prompts
from .server import Site
from .sizing import free_bytes, room_for

FINISH_SECONDS = 5
"""What runs at a stop has this long to end by itself."""
DEAD_SECONDS = 3.0
"""How long a dead engine is still reported before the process ends."""

REASON_SECONDS = 10.0
"""How long an engine that cannot make a token is given to say why."""


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


async def _run(server: Quiet, engine: Engine, sock: socket.socket, target: str) -> None:
    engine.start(asyncio.get_running_loop())
    try:
        await engine.try_out()  # its thread takes the memory for the cache
    except EngineDeadError as error:
        with contextlib.suppress(asyncio.TimeoutError):  # the request fails before its engine has ended
            await asyncio.wait_for(engine.died.wait(), REASON_SECONDS)
        raise unusable(target, engine.error or error) from error
    watch = asyncio.create_task(_watch(engine, server))
    try:
        await server.serve(sockets=[sock])
    except OSError as error:
        raise StartError(
            f"{place(sock)} cannot be used: {error.strerror or error}", fix="--port N with a free one, or 0"
        ) from error
    finally:
        watch.cancel()


def serve(
    options: Options, named: Named, sock: socket.socket, say: Callable[[str], None]
) -> Exception | None:
    """Until a signal, or until the engine dies, whose error is returned.

    Raises:
        StartError: the model cannot be loaded, or cannot make a token; or the port is not free after all.
    """
    loaded = load(named.target, options)
    room = room_for(
        loaded.needs,
        length=loaded.length,
        requests=options.max_num_seqs,
        batch_tokens=options.max_num_batched_tokens,
        memory=free_bytes(loaded.model.device, options.gpu_memory_utilization),
    )
    try:
        engine = Engine(loaded, room, seed=options.seed)
    except Exception as error:  # kinds of models that transformers' engine does not know
        raise unusable(named.target, error) from error
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
        asyncio.run(_run(server, engine, sock, named.target))
    finally:
        engine.stop()
        prompts.close()
    return engine.error
