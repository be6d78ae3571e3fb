"""Prompts as tokens, within the model's length, made in a thread of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .errors import RequestError, refused_value
from .model import Loaded
from .protocol import CompletionRequest, Conversation, Generation

Result = TypeVar("Result")
NO_PROMPT = "Either prompt or prompt_embeds must be provided and non-empty."


class Prompts:
    """Reads and writes tokens of one model."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")
        words = loaded.tokenizer.get_vocab()
        self._longest_word = max((len(word) for word in words), default=1)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def of_chat(self, body: Conversation, *, limit: bool = True) -> list[int]:
        return await self._apart(lambda: self._chat(body, limit=limit))

    async def of_text(self, text: str, *, special: bool, limit: bool = True) -> list[int]:
        return await self._apart(lambda: self._encoded(text, special=special, limit=limit))

    async def of_completion(self, body: CompletionRequest) -> list[list[int]]:
        """The prompt or prompts of a request.

        Raises:
            RequestError: there is none, or a token that the model has not.
        """
        asked = body.prompt
        if asked is None or asked == "":
            raise refused_value(NO_PROMPT, param="prompt")
        if isinstance(asked, str):
            return [await self.of_text(asked, special=body.add_special_tokens)]
        if not asked:
            raise refused_value("at least one prompt must be given", param="prompt")
        found: list[list[int]] = []
        own: list[int] = []
        for part in asked:
            if isinstance(part, str):
                found.append(await self.of_text(part, special=body.add_special_tokens))
            elif isinstance(part, list):
                found.append(self._known(part))
            else:
                own.append(part)
        return [self._known(own), *found] if own else found

    async def text(self, tokens: list[int]) -> str:
        return await self._apart(lambda: str(self._loaded.tokenizer.decode(self._known(tokens))))

    def words(self, tokens: list[int]) -> list[str]:
        return list(self._loaded.tokenizer.convert_ids_to_tokens(tokens))

    async def _apart(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _chat(self, body: Conversation, *, limit: bool) -> list[int]:
        if not body.messages:
            raise RequestError("a chat needs at least one message.")
        if body.continue_final_message and body.add_generation_prompt:
            raise RequestError("continue_final_message and add_generation_prompt exclude each other.")
        own: dict[str, Any] = dict(body.chat_template_kwargs or {})
        own |= {} if body.documents is None else {"documents": body.documents}
        if body.chat_template is not None:
            raise RequestError(
                "a chat template in a request is not trusted: give it to the server (--chat-template)."
            )
        template = self._loaded.template
        if template is None and not getattr(self._loaded.tokenizer, "chat_template", None):
            raise RequestError("the model has no chat template: give one with --chat-template.")
        try:
            text = self._loaded.tokenizer.apply_chat_template(
                [message.for_template() for message in body.messages],
                tokenize=False,
                chat_template=template,
                add_generation_prompt=body.add_generation_prompt,
                continue_final_message=body.continue_final_message,
                **own,
            )
        except Exception as error:  # a template is a program: it may fail in any way
            raise RequestError(f"the chat template refuses these messages: {error}") from error
        return self._encoded(text, special=body.add_special_tokens, limit=limit)

    def _encoded(self, text: str, *, special: bool, limit: bool) -> list[int]:
        most = self._loaded.length * self._longest_word
        if limit and len(text) > most:
            message = (
                f"This model's maximum context length is {self._loaded.length} tokens, which are at most"
                f" {most} characters; the prompt has {len(text)}."
            )
            raise refused_value(message, param="input_text", value=len(text))
        try:
            found = self._loaded.tokenizer.encode(text, add_special_tokens=special)
        except (UnicodeError, TypeError) as error:  # half of a surrogate pair
            raise RequestError(f"the prompt is no text: {error}") from error
        return self._known(list(found)) if limit else list(found)

    def _known(self, tokens: list[int]) -> list[int]:
        for token in (min(tokens, default=0), max(tokens, default=0)):
            if not 0 <= token < self._loaded.vocabulary:
                raise RequestError(f"Token id {token} is out of vocabulary")
        return tokens


def room_left(prompt: list[int], body: Generation, length: int) -> int:
    """Tokens that the answer to `prompt` may have: what is asked for, or fewer where the model ends.

    Raises:
        RequestError: the prompt is empty, or leaves no room; or more is asked for than the model ever takes.
    """
    wanted = body.wanted_tokens
    if not prompt:
        raise refused_value(NO_PROMPT, param="prompt")
    if wanted is not None and wanted > length:
        message = f"max_tokens={wanted} cannot be greater than max_model_len={length}."
        raise refused_value(message, param="max_tokens", value=wanted)
    left = length - len(prompt)
    if left < 0:
        message = f"This model's maximum context length is {length} tokens; the prompt has {len(prompt)}."
        raise refused_value(message, param="input_tokens", value=len(prompt))
    if left == 0:
        message = f"max_tokens must be at least 1, got 0: the prompt has all {length} tokens of the model."
        raise refused_value(message, param="max_tokens", value=0)
    return left if wanted is None else min(wanted, left)
