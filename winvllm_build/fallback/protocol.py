"""The bodies of requests, with the names and types of upstream's server."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, TypeAdapter

from .errors import RequestError, refused_value

INT64 = 2**63
MOST_BIASES = 20_000
MOST_FIELDS = 1000


def _tokens(value: object) -> list[int] | None:
    """`value`, where it is a list of token ids."""
    if not isinstance(value, list) or not all(type(token) is int for token in value):
        return None
    if value and not (min(value) >= 0 and max(value) < INT64):
        raise ValueError("token ids are from 0 to 2^63 - 1")
    return value


def read_tokens(value: object) -> list[int]:
    """Pydantic takes a microsecond for each, and says of each what is wrong with it.

    Raises:
        ValueError: no list of token ids.
    """
    found = _tokens(value)
    if found is None:
        raise ValueError("this must be a list of token ids")
    return found


def read_prompt(value: object) -> list[int] | list[list[int]] | str | list[str] | None:
    """A prompt or several, as text or as token ids.

    Raises:
        ValueError: something else.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        if all(isinstance(each, str) for each in value):
            return value
        if all(isinstance(each, list) for each in value):
            return [read_tokens(each) for each in value]
    return read_tokens(value)


def _few_biases(value: object) -> object:
    if isinstance(value, dict) and len(value) > MOST_BIASES:
        raise ValueError(f"at most {MOST_BIASES} tokens can be biased")
    return value


Tokens = Annotated[list[int], PlainValidator(read_tokens)]
NONE: tuple[object, ...] = (None,)
UNSUPPORTED: Mapping[str, tuple[object, ...]] = {
    "audio": NONE,
    "bad_words": (None, []),
    "best_of": (None, 1),
    "cache_salt": NONE,
    "ec_transfer_params": NONE,
    "function_call": (None, "none"),
    "functions": (None, []),
    "guided_choice": NONE,
    "guided_grammar": NONE,
    "guided_json": NONE,
    "guided_regex": NONE,
    "kv_transfer_params": NONE,
    "length_penalty": (None, 1.0),
    "logprob_token_ids": NONE,
    "media_io_kwargs": NONE,
    "mm_processor_kwargs": NONE,
    "modalities": (None, ["text"]),
    "prediction": NONE,
    "priority": (None, 0),
    "prompt_embeds": NONE,
    "prompt_logprobs": NONE,
    "reasoning_effort": NONE,
    "repetition_detection": NONE,
    "response_format": (None, {"type": "text"}),
    "return_prompt_text": (None, False),
    "return_tokens_as_token_ids": (None, False),
    "return_weight_versions": (None, False),
    "spaces_between_special_tokens": (None, True),
    "stream_interval": (None, 1),
    "structured_outputs": NONE,
    "suffix": (None, ""),
    "thinking_token_budget": (None, -1),
    "tool_choice": (None, "none"),
    "tools": (None, []),
    "truncate_prompt_tokens": NONE,
    "truncation_side": NONE,
    "use_beam_search": (None, False),
    "vllm_xargs": (None, {}),
    "watermarking": (None, False),
    "web_search_options": NONE,
}
"""What upstream knows and this engine does not do, with the values that ask for nothing."""


class Body(BaseModel):
    """Upstream takes any further field too."""

    model_config = ConfigDict(extra="allow")

    model: str | None = None

    def refuse_unsupported(self) -> None:
        """No option is ignored in silence.

        Raises:
            RequestError: one that this engine has not.
        """
        for name, value in (self.model_extra or {}).items():
            if name in UNSUPPORTED and value not in UNSUPPORTED[name]:
                raise refused_value(
                    f"{name} is not supported by the fallback engine (transformers)", param=name
                )


class StreamOptions(BaseModel):
    include_usage: bool | None = False
    continuous_usage_stats: bool | None = False


class Generation(Body):
    """What completions and chats have in common."""

    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: Annotated[int, Field(ge=-INT64, lt=INT64)] | None = None
    logit_bias: Annotated[dict[str, float] | None, BeforeValidator(_few_biases)] = None
    allowed_token_ids: Annotated[list[int], Field(fail_fast=True)] | None = None
    n: int | None = 1
    stop: str | Annotated[list[str], Field(fail_fast=True)] | None = None
    stop_token_ids: Annotated[list[int], Field(fail_fast=True)] | None = None
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    min_tokens: int = 0
    max_tokens: int | None = None
    skip_special_tokens: bool | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    return_token_ids: bool | None = None
    user: str | None = None
    request_id: str = Field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def wanted_tokens(self) -> int | None:
        return self.max_tokens

    @property
    def told(self) -> int | None:
        """How many of the best tokens' logarithms are wanted beside the drawn one's."""
        return None

    @property
    def with_usage(self) -> bool:
        """The end of a stream tells what it took."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def each_usage(self) -> bool:
        """Each of its events does, too."""
        options = self.stream_options
        return self.with_usage and options is not None and bool(options.continuous_usage_stats)


class Message(BaseModel):
    """Of a chat; what else it has is the template's business."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | Annotated[list[dict[str, Any]], Field(fail_fast=True)] | None = None

    def for_template(self) -> dict[str, Any]:
        return {**self.model_dump(exclude_none=True), "content": self.text()}

    def text(self) -> str:
        """The content without its cuts.

        Raises:
            RequestError: a part is no text.
        """
        if not isinstance(self.content, list):
            return self.content or ""
        parts = []
        for part in self.content:
            text = part.get("text")
            if part.get("type") not in {"text", "input_text", "output_text"} or not isinstance(text, str):
                raise RequestError(
                    f"a message has a part of type {part.get('type')}; this server reads text only"
                )
            parts.append(text)
        return "\n".join(parts)


def _few_fields(value: object) -> object:
    if isinstance(value, dict) and len(value) > MOST_FIELDS:
        raise ValueError(f"a document has at most {MOST_FIELDS} fields")
    return value


Document = Annotated[dict[str, str], BeforeValidator(_few_fields)]


class Conversation(Body):
    """What becomes one prompt by the chat template."""

    messages: Annotated[list[Message], Field(fail_fast=True)]
    add_generation_prompt: bool = True
    continue_final_message: bool = False
    add_special_tokens: bool = False
    chat_template: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    documents: Annotated[list[Document], Field(fail_fast=True)] | None = None


class ChatRequest(Generation, Conversation):
    max_completion_tokens: int | None = None
    logprobs: bool | None = False
    top_logprobs: int | None = 0
    echo: bool = False

    @property
    def wanted_tokens(self) -> int | None:
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def told(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


class CompletionRequest(Generation):
    prompt: Annotated[list[int] | list[list[int]] | str | list[str] | None, PlainValidator(read_prompt)] = (
        None
    )
    max_tokens: int | None = 16
    echo: bool | None = False
    logprobs: int | None = None
    add_special_tokens: bool = True

    @property
    def count(self) -> int:
        """Of prompts."""
        several = isinstance(self.prompt, list) and bool(self.prompt) and not isinstance(self.prompt[0], int)
        return len(self.prompt or ()) if several else 1

    @property
    def told(self) -> int | None:
        return self.logprobs


class TokenizeText(Body):
    prompt: str
    add_special_tokens: bool = True
    return_token_strs: bool | None = False


class TokenizeChat(Conversation):
    return_token_strs: bool | None = False


class DetokenizeRequest(Body):
    tokens: Tokens


CHAT = TypeAdapter(ChatRequest)
COMPLETION = TypeAdapter(CompletionRequest)
TOKENIZE: TypeAdapter[TokenizeText | TokenizeChat] = TypeAdapter(TokenizeText | TokenizeChat)
DETOKENIZE = TypeAdapter(DetokenizeRequest)
