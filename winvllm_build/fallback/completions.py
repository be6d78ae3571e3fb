"""/v1/completions: whole, or one event for each piece."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from .answers import Answerer, Asked, Piece, Whole, together, usage, whole_usage
from .chat import DONE, NOT_HERE, event
from .protocol import CompletionRequest
from .told import Teller
from .wishes import Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One request, of one or several prompts, and how it is answered."""

    body: CompletionRequest
    model: str
    prompts: list[list[int]]
    texts: list[str]
    """What is echoed of each prompt."""
    asked: list[Asked]
    wishes: Wishes
    answerer: Answerer
    created: int = field(default_factory=lambda: int(time.time()))

    def _head(self) -> dict[str, Any]:
        return {
            "id": f"cmpl-{self.body.request_id}",
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
        }

    @property
    def _read(self) -> int:
        return sum(map(len, self.prompts))

    def _of(self, index: int) -> int:
        """The prompt of an answer."""
        return index // self.wishes.answers

    def _shown(self, tokens: list[int]) -> list[int] | None:
        return tokens if self.body.return_token_ids else None

    async def whole(self) -> dict[str, Any]:
        found = await together(self.answerer.pieces(self.asked, self.wishes), len(self.asked))
        return {
            **self._head(),
            "choices": [self._choice(index, each) for index, each in enumerate(found)],
            "service_tier": None,
            "system_fingerprint": None,
            "usage": whole_usage(self._read, found),
            **NOT_HERE,
        }

    def _choice(self, index: int, found: Whole) -> dict[str, Any]:
        prompt = self._of(index)
        told = self.body.logprobs is not None
        return {
            "index": index,
            "text": (self.texts[prompt] if self.body.echo else "") + found.text,
            "logprobs": Teller(self.answerer.loaded.tokenizer).for_completion(found.logprobs)
            if told
            else None,
            "finish_reason": found.finish,
            "stop_reason": found.reason,
            "token_ids": self._shown(found.tokens),
            "prompt_logprobs": None,
            "prompt_token_ids": self._shown(self.prompts[prompt]),
            "routed_experts": None,
            "weight_versions": None,
        }

    async def events(self) -> AsyncGenerator[str, None]:
        made = [0] * len(self.asked)
        tellers = [Teller(self.answerer.loaded.tokenizer) for _ in self.asked]
        async with aclosing(self.answerer.pieces(self.asked, self.wishes)) as pieces:
            async for piece in pieces:
                value = self._chunk(piece, tellers[piece.index], first=not made[piece.index])
                made[piece.index] += len(piece.tokens)
                if self.body.each_usage:
                    value["usage"] = usage(len(self.prompts[self._of(piece.index)]), made[piece.index])
                yield event(value)
        if self.body.with_usage:
            yield event({**self._head(), "choices": [], "usage": usage(self._read, sum(made))})
        yield DONE

    def _chunk(self, piece: Piece, teller: Teller, *, first: bool) -> dict[str, Any]:
        prompt = self._of(piece.index)
        choice = {
            "index": piece.index,
            "text": (self.texts[prompt] if first and self.body.echo else "") + piece.text,
            "logprobs": teller.for_completion(piece.logprobs) if self.body.logprobs is not None else None,
            "finish_reason": piece.finish,
            "stop_reason": piece.reason,
            "prompt_token_ids": self._shown(self.prompts[prompt]) if first else None,
            "token_ids": self._shown(list(piece.tokens)),
            "weight_versions": None,
        }
        return {**self._head(), "choices": [choice], "kv_transfer_params": None}
