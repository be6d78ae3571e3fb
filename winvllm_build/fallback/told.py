"""Logarithms of probabilities in the two shapes of the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .sampling import TokenLogprobs
from .text import UNFINISHED, Tokenizer

LOWEST = -9999.0
"""JSON has no infinity."""


class Teller:
    """Writes the tokens of one answer, with their place in its text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._held: list[int] = []
        self.offset = 0

    def for_chat(self, found: Sequence[TokenLogprobs]) -> dict[str, Any]:
        content = []
        for each in found:
            drawn = self._chat_entry(self._drawn(each.token), each.logprob)
            top = [self._chat_entry(self._alone(token), value) for token, value in each.top]
            content.append({**drawn, "top_logprobs": top})
        return {"content": content}

    def for_completion(self, found: Sequence[TokenLogprobs]) -> dict[str, Any]:
        offsets, values, words, tops = [], [], [], []
        for each in found:
            word = self._drawn(each.token)
            offsets.append(self.offset)
            words.append(word)
            values.append(max(each.logprob, LOWEST))
            best = {
                self._alone(token): max(value, LOWEST) for token, value in each.top if token != each.token
            }
            tops.append({word: max(each.logprob, LOWEST)} | best)
            self.offset += len(word)
        return {"text_offset": offsets, "token_logprobs": values, "tokens": words, "top_logprobs": tops}

    @staticmethod
    def _chat_entry(text: str, value: float) -> dict[str, Any]:
        return {"token": text, "logprob": max(value, LOWEST), "bytes": list(text.encode("utf-8", "replace"))}

    def _alone(self, token: int) -> str:
        text = str(self._tokenizer.decode([token]))
        return "" if text.endswith(UNFINISHED) else text

    def _drawn(self, token: int) -> str:
        """A character of several tokens belongs to the last of them."""
        text = str(self._tokenizer.decode([*self._held, token]))
        if text.endswith(UNFINISHED):
            self._held = [*self._held[-3:], token]
            return ""
        self._held = []
        return text.lstrip(UNFINISHED)
