"""Text from tokens as they come: whole characters only, ended by stop strings that may lie across tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import DecodeStream

BROKEN_STREAM = "Invalid prefix encountered"
"""What tokenizers' stream says when bytes that are no UTF-8 have come; it goes on from nothing."""
TAIL_TOKENS = range(4, 25)
UNFINISHED = "\N{REPLACEMENT CHARACTER}"


class Tokenizer(Protocol):
    """What is used of transformers' tokenizers."""

    eos_token_id: int | None

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]: ...

    def decode(self, tokens: Sequence[int], *, skip_special_tokens: bool = False) -> str: ...

    def get_vocab(self) -> dict[str, int]: ...

    def convert_ids_to_tokens(self, tokens: list[int]) -> list[str]: ...

    def apply_chat_template(
        self, messages: list[dict[str, Any]], *, tokenize: bool, chat_template: str | None, **more: object
    ) -> str: ...


class Decoder(Protocol):
    """Tokens to text, one by one."""

    def step(self, token: int) -> str: ...


class FastDecoder:
    """The stream of the tokenizers library, as upstream uses it."""

    def __init__(self, tokenizer: FastTokenizer, prompt: Sequence[int], *, skip_special: bool) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._stream = DecodeStream(ids=list(prompt), skip_special_tokens=skip_special)

    def step(self, token: int) -> str:
        try:
            return self._stream.step(self._tokenizer, token) or ""
        except (
            OverflowError,
            TypeError,
        ):  # an id that the vocabulary's padding has and the tokenizer has not
            return ""
        except Exception as error:
            if not str(error).startswith(BROKEN_STREAM):
                raise
        self._stream = DecodeStream(skip_special_tokens=self._skip_special)
        return self._stream.step(self._tokenizer, token) or ""


class WindowDecoder:
    """For tokenizers in Python: the text of a few tokens, with and without the new ones."""

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int], *, skip_special: bool) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._tokens = list(prompt[-6:])
        self._shown = len(self._tokens)

    def step(self, token: int) -> str:
        self._tokens.append(token)
        before, after = self._text(self._tokens[: self._shown]), self._text(self._tokens)
        if after.endswith(UNFINISHED) or len(after) <= len(before):
            return ""
        self._tokens = self._tokens[self._shown :]
        self._shown = len(self._tokens)
        return after[len(before) :]

    def _text(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=self._skip_special))


def tail(tokenizer: Tokenizer, prompt: Sequence[int], *, skip_special: bool) -> Sequence[int]:
    """The end of a prompt that decides how the next token is written: a few tokens of whole characters."""
    ends = (prompt[-size:] for size in TAIL_TOKENS)
    whole = (end for end in ends if UNFINISHED not in tokenizer.decode(end, skip_special_tokens=skip_special))
    return next(whole, prompt[-TAIL_TOKENS.stop :])


def decoder(tokenizer: Tokenizer, prompt: Sequence[int], *, skip_special: bool) -> Decoder:
    prompt = tail(tokenizer, prompt, skip_special=skip_special)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return WindowDecoder(tokenizer, prompt, skip_special=skip_special)
    return FastDecoder(fast, prompt, skip_special=skip_special)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Which text ends an answer, and whether it belongs to the answer."""

    strings: tuple[str, ...] = ()
    include: bool = False
    after: int = 0
    """Tokens before which none counts."""

    @property
    def held_back(self) -> int:
        """Characters at the end that may still become a stop string."""
        return 0 if self.include or not self.strings else max(map(len, self.strings)) - 1


class Transcript:
    """The text of one answer, and how much of it was handed out."""

    def __init__(self, decoder: Decoder, rule: StopRule) -> None:
        self._decoder = decoder
        self._rule = rule
        self._sent = 0
        self.text = ""
        self.tokens = 0

    def add(self, token: int, *, silent: bool = False) -> str | None:
        """The stop string that this token completes; a `silent` token is counted, not shown."""
        new = "" if silent else self._decoder.step(token)
        self.text += new
        self.tokens += 1
        if not new or self.tokens <= self._rule.after:
            return None
        return self._stopped(len(new))

    def _stopped(self, new: int) -> str | None:
        start = len(self.text) - new + 1
        found = [
            (at + len(string), order, at, string)
            for order, string in enumerate(self._rule.strings)
            if (at := self.text.find(string, max(0, start - len(string)))) >= 0
        ]
        if not found:
            return None
        end, _, at, string = min(found)  # the one that ended first, as if characters came one by one
        self.text = self.text[: end if self._rule.include else at]
        return string

    def take(self, *, finished: bool) -> str:
        """What was not handed out yet and cannot be taken back."""
        end = len(self.text) - (0 if finished else self._rule.held_back)
        found = self.text[self._sent : max(end, self._sent)]
        self._sent += len(found)
        return found
