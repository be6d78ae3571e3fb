"""A server from its start to its end: its output, whether it is up, and how it is stopped."""

from __future__ import annotations

import codecs
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx2

from winvllm_build import attended
from winvllm_build.attended import Attended
from winvllm_build.errors import InterruptedRunError
from winvllm_build.serving import environment, failures
from winvllm_build.serving.plan import STOP_SECONDS, Plan
from winvllm_build.serving.stops import WINDOW_SECONDS, Stops

LOOK_SECONDS: Final = 0.25
HEALTH_SECONDS: Final = 1.0
LAST_WORDS_SECONDS: Final = 2.0
"""A process that outlives the server may keep its output open."""
KEPT: Final = 1 << 16
"""Letters of the output that are kept for its explanation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who is told what happens.

    Attributes:
        output: what the engine prints, as it comes.
        ready: once, when it answers; the seconds since its start.
        stopping: when it is asked to stop.
    """

    output: Callable[[str], None]
    ready: Callable[[float], None]
    stopping: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a server that was asked to stop.

    Attributes:
        graceful: whether it ended by itself in time.
        seconds: from the request to its end.
    """

    graceful: bool
    seconds: float


def serve(plan: Plan, told: Told, stops: Stops, inherited: Mapping[str, str]) -> Ended:
    """Start it and stay until it is stopped.

    Raises:
        ToolchainError: its Python cannot be started.
        EngineError: it did not start, or ended by itself.
        UsageError: it does not know a flag that was passed on.
        InterruptedRunError: it was asked to stop twice, and is ended at once.
    """
    variables = environment.complete(inherited, plan.variables)
    with (
        attended.attended(plan.command, env=variables, shown=plan.shown_command) as child,
        _client() as client,
    ):
        output = _Output(told.output)
        reader = threading.Thread(target=output.pass_on, args=(child,), daemon=True)
        reader.start()
        begun, ready = time.monotonic(), False
        code = child.code()
        while code is None and not stops.asked:
            stops.wait(LOOK_SECONDS)
            if not ready and answers(client, plan.url):
                ready = True
                with contextlib.suppress(OSError):  # nobody reads any more; the server goes on
                    told.ready(time.monotonic() - begun)
            code = child.code()
        if code is None:
            with contextlib.suppress(OSError):  # as above
                told.stopping()
            ended = _stop(child, stops)
            reader.join(LAST_WORDS_SECONDS)
            return ended
        reader.join(LAST_WORDS_SECONDS)
        if stops.asked:  # what asked us reached the engine, too
            return Ended(graceful=True, seconds=0.0)
        raise failures.explained(code, output.end, was_ready=ready, plain=plan.plain_command)


def answers(client: httpx2.Client, url: str) -> bool:
    """Whether a server answers there and is well."""
    try:
        return client.get(f"{url}/health").status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False


def _client() -> httpx2.Client:
    """For our own server: through no proxy, and with whatever certificate it has."""
    return httpx2.Client(timeout=HEALTH_SECONDS, trust_env=False, verify=False)


def _stop(child: Attended, stops: Stops) -> Ended:
    """Let it finish; a second wish, or the end of its time, ends it at once."""
    begun = time.monotonic()
    with contextlib.suppress(OSError):
        child.close_input()
    while child.code() is None:
        if time.monotonic() - begun > (WINDOW_SECONDS - 1 if stops.hurry else STOP_SECONDS):
            break
        stops.wait(LOOK_SECONDS)
        if stops.asked > 1:
            child.kill()
            raise InterruptedRunError("the server was ended at once", fix="one Ctrl-C lets it finish")
    graceful = child.code() is not None
    if not graceful:
        child.kill()
    return Ended(graceful=graceful, seconds=time.monotonic() - begun)


@dataclass(slots=True)
class _Output:
    """What the engine prints: passed on, and its end kept."""

    told: Callable[[str], None]
    end: str = ""
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _return: str = ""

    def pass_on(self, child: Attended) -> None:
        with contextlib.suppress(OSError, ValueError):  # closed when we end
            while block := child.read():
                self.add(block)

    def add(self, block: bytes) -> None:
        """Whole letters; a Windows line end becomes a plain one, a progress bar's return stays."""
        text = self._return + self._decoder.decode(block)
        self._return = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r").replace("\r\n", "\n")
        self.end = (self.end + text)[-KEPT:]
        with contextlib.suppress(OSError, ValueError):  # as above
            if text:
                self.told(text)
