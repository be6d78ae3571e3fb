"""Transformers' continuous batching: one thread owns the model, another hands its tokens out."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig
from transformers.generation.continuous_batching import ContinuousBatchingManager
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.logits_process import LogitsProcessorList

from .errors import EngineDeadError
from .model import Loaded
from .sampling import Draw, Sampling, TokenLogprobs, draw_all
from .sizing import Room

NO_END = -1
WAIT_SECONDS = 0.2
STOP_SECONDS = 10.0


class Sampler(ContinuousBatchingLogitsProcessor):
    """Takes the place of the engine's sampling: leaves one token of each row of scores."""

    supported_kwargs: dict[str, type] = {"draw": Draw}  # noqa: RUF012 - the base class's name and type
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._draws: list[Draw] = []

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.fill_(0)

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        self._draws = [request.state.logit_processor_kwargs["draw"] for request in requests_with_new_token]
        return torch.zeros(len(self._draws), dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        del tensor_arg
        # a row for each request; those whose prompt is not yet read whole come last and get no token
        tokens = draw_all(scores[: len(self._draws)], self._draws)
        only = torch.full_like(scores, float("-inf"))
        only[: len(self._draws)].scatter_(-1, tokens.unsqueeze(-1), 0.0)
        return only


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One token of an answer."""

    token: int
    last: bool
    logprobs: TokenLogprobs | None


@dataclass(slots=True, kw_only=True)
class _Open:
    """A request that the engine works on."""

    queue: asyncio.Queue[list[int] | Exception]
    seen: int = 0
    finished: bool = False


class Engine:
    """Answers requests of one model, together."""

    def __init__(self, loaded: Loaded, room: Room, *, seed: int) -> None:
        logging.getLogger("ContinuousBatchingLogger").setLevel(
            logging.CRITICAL
        )  # we say ourselves what failed
        torch.manual_seed(seed)
        self._loaded = loaded
        self._open: dict[str, _Open] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self.error: Exception | None = None
        self.died = asyncio.Event()
        model: Any = loaded.model
        self._manager: ContinuousBatchingManager = model.init_continuous_batching(
            generation_config=GenerationConfig(do_sample=False, eos_token_id=NO_END, pad_token_id=0),
            continuous_batching_config=room.configuration(),
        )
        processors = LogitsProcessorList([Sampler()])
        self._manager.logit_processor = ContinuousBatchingLogitsProcessorList(processors)
        self._manager.logit_processor.tensors_required = 1
        self._herald = threading.Thread(target=self._hand_out, name="results", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._manager.start()
        self._herald.start()

    async def try_out(self) -> None:
        """Make one token.

        Raises:
            EngineDeadError: the engine cannot; `error` says why.
        """
        steps = self.answer([0], at_most=1, ends=frozenset(), sampling=Sampling(temperature=0.0))
        async for _ in steps:
            pass

    @property
    def dead(self) -> bool:
        return self.error is not None

    @property
    def running(self) -> int:
        """Requests that are not finished."""
        return len(self._open)

    def stop(self) -> None:
        """End both threads; what is open fails."""
        self._stopping.set()
        self._manager.stop(block=True, timeout=STOP_SECONDS, hard_stop=True)
        self._herald.join(STOP_SECONDS)

    async def answer(
        self, prompt: list[int], *, at_most: int, ends: frozenset[int], sampling: Sampling
    ) -> AsyncGenerator[Step, None]:
        """The tokens of one answer as they come; leaving the loop early cancels it.

        Raises:
            EngineDeadError: it has died, before or meanwhile.
        """
        if self.dead:
            raise EngineDeadError
        draw = Draw(sampling, prompt, device=self._loaded.model.device, vocabulary=self._loaded.vocabulary)
        name = uuid.uuid4().hex
        opened = _Open(queue=asyncio.Queue())
        self._open[name] = opened
        self._manager.add_request(
            prompt,
            request_id=name,
            max_new_tokens=at_most,
            streaming=True,
            eos_token_id=sorted(ends),
            draw=draw,
        )
        done = 0
        try:
            while done < at_most:
                found = await opened.queue.get()
                if isinstance(found, Exception):
                    raise found
                for token in found:
                    done += 1
                    last = done == at_most or token in ends
                    told = draw.logprobs[done - 1] if draw.logprobs else None
                    yield Step(token=token, last=last, logprobs=told)
                    if last:
                        return
        finally:
            del self._open[name]
            if not opened.finished:
                self._manager.cancel_request(name)

    def _hand_out(self) -> None:
        """Bring what the engine's thread has made to the event loop, several results at a time."""
        while not self._stopping.is_set():
            first = self._manager.get_result(timeout=WAIT_SECONDS)
            if first is not None:
                results = [first]
                while (more := self._manager.get_result(timeout=0.0)) is not None:
                    results.append(more)
                self._call(results)
            elif not self._manager.is_running() and not self._stopping.is_set():
                error = self._manager.background_thread_status.fatal_error
                self.error = error or RuntimeError("the engine's thread has ended")
                self._call([])
                return

    def _call(self, results: list[Any]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, results)

    def _deliver(self, results: list[Any]) -> None:
        for result in results:
            opened = self._open.get(result.request_id)
            if opened is None:  # cancelled
                continue
            if result.error is not None:
                opened.queue.put_nowait(EngineDeadError())
                continue
            new = result.generated_tokens[opened.seen :]
            opened.seen += len(new)
            opened.finished = result.is_finished()
            opened.queue.put_nowait(new)
        if self.dead:
            self.died.set()
            for opened in self._open.values():
                opened.queue.put_nowait(EngineDeadError())
