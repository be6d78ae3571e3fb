"""/v1/chat/completions: whole, or one event for each piece."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from .answers import Answerer, Asked, Piece, Whole, together, usage, whole_usage
from .protocol import ChatRequest
from .told import Teller
from .wishes import Wishes

NO_MORE: dict[str, None] = {
    "refusal": None,
    "annotations": None,
    "audio": None,
    "function_call": None,
    "reasoning": None,
}
NOT_HERE: dict[str, None] = {"kv_transfer_params": None, "ec_transfer_params": None, "metrics": None}
DONE = "data: [DONE]\n\n"


def event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One request and how it is answered."""

    body: ChatRequest
    model: str
    prompt: list[int]
    asked: list[Asked]
    wishes: Wishes
    answerer: Answerer
    created: int = field(default_factory=lambda: int(time.time()))

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.body.request_id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }

    def _shown_tokens(self, tokens: Sequence[int]) -> list[int] | None:
        return list(tokens) if self.body.return_token_ids else None

    async def whole(self) -> dict[str, Any]:
        found = await together(self.answerer.pieces(self.asked, self.wishes), len(self.asked))
        return {
            **self._head("chat.completion"),
            "choices": [self._choice(index, each) for index, each in enumerate(found)],
            "service_tier": None,
            "system_fingerprint": None,
            "usage": whole_usage(len(self.prompt), found),
            "prompt_logprobs": None,
            "prompt_token_ids": self.prompt if self.body.return_token_ids else None,
            "prompt_text": None,
            **NOT_HERE,
        }

    def _choice(self, index: int, found: Whole) -> dict[str, Any]:
        teller = Teller(self.answerer.loaded.tokenizer)
        return {
            "index": index,
            "message": {"role": "assistant", "content": found.text, **NO_MORE},
            "logprobs": teller.for_chat(found.logprobs) if self.body.logprobs else None,
            "finish_reason": found.finish,
            "stop_reason": found.reason,
            "token_ids": self._shown_tokens(found.tokens),
            "routed_experts": None,
            "weight_versions": None,
        }

    async def events(self) -> AsyncGenerator[str, None]:
        made = [0] * len(self.asked)
        tellers = [Teller(self.answerer.loaded.tokenizer) for _ in self.asked]
        async with aclosing(self.answerer.pieces(self.asked, self.wishes)) as pieces:
            first = True
            async for piece in pieces:
                if first:  # not before the engine has taken the request
                    for index in range(len(self.asked)):
                        yield event(self._role(index))
                    first = False
                made[piece.index] += len(piece.tokens)
                value = self._chunk(piece, tellers[piece.index])
                if self.body.each_usage:
                    value["usage"] = usage(len(self.prompt), made[piece.index])
                if piece.text or piece.finish or piece.logprobs or self.body.return_token_ids:
                    yield event(value)
        if self.body.with_usage:
            found = {**self._head("chat.completion.chunk"), "choices": []}
            yield event(found | {"usage": usage(len(self.prompt), sum(made))})
        yield DONE

    def _role(self, index: int) -> dict[str, Any]:
        delta = {"role": "assistant", "content": ""}
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        shown = self.prompt if self.body.return_token_ids else None
        more = {"usage": usage(len(self.prompt), 0)} if self.body.each_usage else {}
        return {
            **self._head("chat.completion.chunk"),
            "choices": [choice],
            "prompt_token_ids": shown,
            "prompt_text": None,
        } | more

    def _chunk(self, piece: Piece, teller: Teller) -> dict[str, Any]:
        choice = {
            "index": piece.index,
            "delta": {"content": piece.text},
            "logprobs": teller.for_chat(piece.logprobs) if self.body.logprobs else None,
            "finish_reason": piece.finish,
            "token_ids": self._shown_tokens(piece.tokens),
        }
        if piece.finish is None:
            return {**self._head("chat.completion.chunk"), "choices": [choice]}
        ended = {"stop_reason": piece.reason, "weight_versions": None}
        return {
            **self._head("chat.completion.chunk"),
            "choices": [choice | ended],
            "kv_transfer_params": None,
        }
