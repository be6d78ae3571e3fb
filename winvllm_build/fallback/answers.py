"""The answers to one request, piece by piece, as text with its reason to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .engine import Engine, Step
from .metrics import Metrics
from .model import Loaded
from .sampling import TokenLogprobs
from .text import Transcript, decoder
from .wishes import Wishes

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One answer that is wanted."""

    index: int
    number: int
    """Among the answers to the same prompt."""
    prompt: list[int]
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What is new of an answer."""

    index: int
    text: str
    tokens: tuple[int, ...]
    logprobs: tuple[TokenLogprobs, ...]
    finish: str | None = None
    reason: str | int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerer:
    """Asks the engine."""

    engine: Engine
    loaded: Loaded
    metrics: Metrics

    async def pieces(self, asked: Sequence[Asked], wishes: Wishes) -> AsyncGenerator[Piece, None]:
        """All answers at once, as they come; leaving early cancels what is open."""
        if len(asked) == 1:
            async with aclosing(self._answer(asked[0], wishes)) as own:
                async for piece in own:
                    yield piece
            return
        queue: asyncio.Queue[Piece | Exception | None] = asyncio.Queue()
        tasks = [asyncio.create_task(self._into(queue, each, wishes)) for each in asked]
        try:
            left = len(tasks)
            while left:
                found = await queue.get()
                if isinstance(found, Exception):
                    raise found
                if found is None:
                    left -= 1
                else:
                    yield found
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _into(
        self, queue: asyncio.Queue[Piece | Exception | None], asked: Asked, wishes: Wishes
    ) -> None:
        try:
            async with aclosing(self._answer(asked, wishes)) as own:
                async for piece in own:
                    queue.put_nowait(piece)
        except Exception as error:  # noqa: BLE001 - raised again by the one who reads the queue
            queue.put_nowait(error)
        else:
            queue.put_nowait(None)

    async def _answer(self, asked: Asked, wishes: Wishes) -> AsyncGenerator[Piece, None]:
        stream = decoder(self.loaded.tokenizer, asked.prompt, skip_special=wishes.skip_special)
        transcript = Transcript(stream, wishes.rule)
        begun = time.perf_counter()
        steps = self.engine.answer(
            asked.prompt, at_most=asked.at_most, ends=wishes.ends, sampling=wishes.for_answer(asked.number)
        )
        finish: str | None = None
        self.metrics.begun(len(asked.prompt))
        try:
            async with aclosing(steps) as open_steps:
                async for step in open_steps:
                    if transcript.tokens == 0:
                        self.metrics.first_token(time.perf_counter() - begun)
                    piece = _piece(asked.index, step, transcript, wishes)
                    finish = piece.finish
                    yield piece
                    if finish is not None:
                        return
        finally:
            self.metrics.ended(finish or "abort", transcript.tokens, time.perf_counter() - begun)


def _piece(index: int, step: Step, transcript: Transcript, wishes: Wishes) -> Piece:
    ended = step.token in wishes.ends
    string = transcript.add(step.token, silent=ended and not wishes.rule.include)
    reason: str | int | None = string
    if string is None and ended and step.token != wishes.silent_end:
        reason = step.token
    finish = "stop" if ended or string is not None else "length" if step.last else None
    return Piece(
        index=index,
        text=transcript.take(finished=finish is not None),
        tokens=(step.token,),
        logprobs=() if step.logprobs is None else (step.logprobs,),
        finish=finish,
        reason=reason,
    )


@dataclass(slots=True, kw_only=True)
class Whole:
    """One answer put together."""

    text: str = ""
    tokens: list[int] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    finish: str | None = None
    reason: str | int | None = None

    def add(self, piece: Piece) -> None:
        self.text += piece.text
        self.tokens.extend(piece.tokens)
        self.logprobs.extend(piece.logprobs)
        self.finish, self.reason = piece.finish, piece.reason


async def together(pieces: AsyncGenerator[Piece, None], count: int) -> list[Whole]:
    found = [Whole() for _ in range(count)]
    async with aclosing(pieces) as open_pieces:
        async for piece in open_pieces:
            found[piece.index].add(piece)
    return found


def usage(prompts: int, answers: int) -> dict[str, Any]:
    return {"prompt_tokens": prompts, "total_tokens": prompts + answers, "completion_tokens": answers}


def whole_usage(prompts: int, found: Sequence[Whole]) -> dict[str, Any]:
    made = sum(len(each.tokens) for each in found)
    return usage(prompts, made) | {"prompt_tokens_details": None, "completion_tokens_details": None}


async def unless_gone(work: Coroutine[Any, Any, Result], gone: Coroutine[Any, Any, None]) -> Result | None:
    """What `work` returns; None if the client left before that, which ends it."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(gone)
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
