"""The requests whose answers are compared with upstream's, and what of an answer is comparable."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

PLACE = re.compile(r'File "[^"]*", line \d+')
CHANGING = {"id", "created", "root", "permission", "system_fingerprint"}
GREEDY = {"model": "tiny", "temperature": 0, "ignore_eos": True, "max_tokens": 6, "seed": 1}
CHAT = {**GREEDY, "messages": [{"role": "user", "content": "naïve 你好"}]}
ONE_BY_CHANCE = {**GREEDY, "temperature": 1, "top_k": 1, "n": 2}
"""Drawn by chance from one token."""
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
CONTINUOUS = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
PARTS = [{"type": "text", "text": "hello"}, {"type": "text", "text": "world"}]
LONG = [{"role": "user", "content": "é!" * 90}]
IMAGE = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
COMPLETIONS, CHATS = "/v1/completions", "/v1/chat/completions"
UNKNOWN_TOKEN = 9999
Asked = tuple[str, dict[str, object] | bytes | None]

EQUAL: dict[str, Asked] = {
    "models": ("/v1/models", None),
    "completion": (COMPLETIONS, {**GREEDY, "prompt": "hello world"}),
    "completion with logprobs": (COMPLETIONS, {**GREEDY, "prompt": "hello world", "logprobs": 2}),
    "completion with its own logprob": (COMPLETIONS, {**GREEDY, "prompt": "hello world", "logprobs": 0}),
    "two answers": (COMPLETIONS, {**ONE_BY_CHANCE, "prompt": ["the quick", "brown fox"]}),
    "tokens in, tokens out": (COMPLETIONS, {**GREEDY, "prompt": [5, 9, 20], "return_token_ids": True}),
    "lists of tokens": (COMPLETIONS, {**GREEDY, "prompt": [[5, 9, 20], [7]], "return_token_ids": True}),
    "echo": (COMPLETIONS, {**GREEDY, "prompt": "hello world", "echo": True}),
    "to its end": (COMPLETIONS, {**GREEDY, "prompt": "hello", "ignore_eos": False, "max_tokens": 40}),
    "stop": (COMPLETIONS, {**GREEDY, "prompt": "hello", "max_tokens": 40, "stop": ["e", "o"]}),
    "stop in the answer": (
        COMPLETIONS,
        {**GREEDY, "prompt": "hello", "max_tokens": 40, "stop": "e", "include_stop_str_in_output": True},
    ),
    "streamed": (COMPLETIONS, {**GREEDY, "prompt": "hello", **USAGE}),
    "two streamed": (COMPLETIONS, {**ONE_BY_CHANCE, "prompt": "hello", **USAGE}),
    "streamed with token ids": (
        COMPLETIONS,
        {**GREEDY, "prompt": "hello", "return_token_ids": True, **USAGE},
    ),
    "streamed without usage": (COMPLETIONS, {**GREEDY, "prompt": "hello", "stream": True}),
    "stop streamed": (COMPLETIONS, {**GREEDY, "prompt": "hello", "max_tokens": 40, "stop": ["e"], **USAGE}),
    "an answer cut to what is left": (COMPLETIONS, {**GREEDY, "prompt": [5] * 200, "max_tokens": 100}),
    "bias": (COMPLETIONS, {**GREEDY, "prompt": "hello", "logit_bias": {"42": 100}}),
    "only these tokens": (COMPLETIONS, {**GREEDY, "prompt": "hello", "allowed_token_ids": [42, 43]}),
    "penalties": (
        COMPLETIONS,
        {
            **GREEDY,
            "prompt": "hello",
            "max_tokens": 24,
            "presence_penalty": 1.5,
            "frequency_penalty": 1.0,
            "repetition_penalty": 1.4,
            "return_token_ids": True,
        },
    ),
    "a minimum": (
        COMPLETIONS,
        {**GREEDY, "prompt": "hello", "ignore_eos": False, "min_tokens": 30, "max_tokens": 40},
    ),
    "chat": (CHATS, CHAT),
    "chat with logprobs": (CHATS, {**CHAT, "logprobs": True, "top_logprobs": 2}),
    "chat with token ids": (CHATS, {**CHAT, "return_token_ids": True}),
    "chat in parts": (CHATS, {**CHAT, "messages": [{"role": "user", "content": PARTS}]}),
    "chat by the newer name": (CHATS, {**CHAT, "max_completion_tokens": 3}),
    "two chats": (CHATS, {**CHAT, **ONE_BY_CHANCE}),
    "chat streamed": (CHATS, {**CHAT, **USAGE}),
    "chat streamed with counts": (CHATS, {**CHAT, **CONTINUOUS}),
    "two chats streamed": (CHATS, {**CHAT, **ONE_BY_CHANCE, **USAGE}),
    "chat streamed with logprobs": (CHATS, {**CHAT, "logprobs": True, "top_logprobs": 1, **USAGE}),
    "chat with a stop token": (CHATS, {**CHAT, "max_tokens": 40, "stop_token_ids": [271, 191]}),
    "a chat that ends": (CHATS, {**CHAT, "ignore_eos": False, "logit_bias": {"2": 100}}),
    "a chat that ends streamed": (CHATS, {**CHAT, "ignore_eos": False, "logit_bias": {"2": 100}, **USAGE}),
    "chat that goes on": (
        CHATS,
        {
            **CHAT,
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "hello"}],
            "add_generation_prompt": False,
            "continue_final_message": True,
        },
    ),
    "tokenize": ("/tokenize", {"model": "tiny", "prompt": "hello world"}),
    "tokenize with words": (
        "/tokenize",
        {"model": "tiny", "prompt": "hello world", "return_token_strs": True},
    ),
    "tokenize a chat": ("/tokenize", {"model": "tiny", "messages": CHAT["messages"]}),
    "detokenize": ("/detokenize", {"model": "tiny", "tokens": [40, 41, 42]}),
}
"""The answer has the same status, type, fields and values."""

REFUSED: dict[str, Asked] = {
    "unknown model": (COMPLETIONS, {**GREEDY, "model": "other", "prompt": "x"}),
    "unknown model in a chat": (CHATS, {**CHAT, "model": "other"}),
    "unknown model to tokenize": ("/tokenize", {"model": "other", "prompt": "x"}),
    "too long": (COMPLETIONS, {**GREEDY, "prompt": "x " * 2000}),
    "too long a chat": (CHATS, {**CHAT, "messages": [{"role": "user", "content": "x " * 2000}]}),
    "too much asked for": (COMPLETIONS, {**GREEDY, "prompt": "x", "max_tokens": 5000}),
    "too much asked for in a chat": (CHATS, {**CHAT, "max_tokens": 5000}),
    "a prompt as long as the model": (COMPLETIONS, {**GREEDY, "prompt": [5] * 256, "max_tokens": 1}),
    "a chat without room": (
        CHATS,
        {**CHAT, "max_tokens": None, "messages": [{"role": "user", "content": "é!" * 90}]},
    ),
    "two of the best": (CHATS, {**CHAT, "n": 2}),
    "a template in a chat": (CHATS, {**CHAT, "chat_template": "{{ messages[0]['content'] }}"}),
    "malformed JSON": (CHATS, b'{"model": "tiny", '),
    "no JSON": (CHATS, b"hello"),
    "a list": (CHATS, b"[]"),
    "nothing": (CHATS, b""),
    "no messages": (CHATS, GREEDY),
    "empty messages": (CHATS, {**CHAT, "messages": []}),
    "a message of no role": (CHATS, {**CHAT, "messages": [{"content": "x"}]}),
    "messages of another type": (CHATS, {**CHAT, "messages": "hello"}),
    "an image": (CHATS, {**CHAT, "messages": [{"role": "user", "content": IMAGE}]}),
    "no prompt": (COMPLETIONS, GREEDY),
    "an empty prompt": (COMPLETIONS, {**GREEDY, "prompt": ""}),
    "an empty list": (COMPLETIONS, {**GREEDY, "prompt": []}),
    "an unknown token": (COMPLETIONS, {**GREEDY, "prompt": [UNKNOWN_TOKEN]}),
    "no token asked for": (COMPLETIONS, {**GREEDY, "prompt": "hello", "max_tokens": 0}),
    "negative max_tokens": (COMPLETIONS, {**GREEDY, "prompt": "x", "max_tokens": -1}),
    "max_tokens in words": (COMPLETIONS, {**GREEDY, "prompt": "x", "max_tokens": "many"}),
    "temperature in words": (CHATS, {**CHAT, "temperature": "hot"}),
    "negative temperature": (CHATS, {**CHAT, "temperature": -1}),
    "top_p of 2": (CHATS, {**CHAT, "top_p": 2}),
    "top_k of -5": (CHATS, {**CHAT, "top_k": -5}),
    "min_p of 3": (CHATS, {**CHAT, "min_p": 3}),
    "n of 0": (CHATS, {**CHAT, "n": 0}),
    "presence_penalty of 3": (CHATS, {**CHAT, "presence_penalty": 3}),
    "repetition_penalty of 0": (CHATS, {**CHAT, "repetition_penalty": 0}),
    "top_logprobs alone": (CHATS, {**CHAT, "top_logprobs": 2}),
    "too many logprobs": (COMPLETIONS, {**GREEDY, "prompt": "x", "logprobs": 99}),
    "negative logprobs": (COMPLETIONS, {**GREEDY, "prompt": "x", "logprobs": -3}),
    "an empty stop": (COMPLETIONS, {**GREEDY, "prompt": "x", "stop": [""]}),
    "more at least than at most": (COMPLETIONS, {**GREEDY, "prompt": "x", "min_tokens": 60}),
    "stream_options alone": (
        COMPLETIONS,
        {**GREEDY, "prompt": "x", "stream_options": {"include_usage": True}},
    ),
    "a bias for an unknown token": (COMPLETIONS, {**GREEDY, "prompt": "x", "logit_bias": {"99999": 5}}),
    "a bias for a word": (COMPLETIONS, {**GREEDY, "prompt": "x", "logit_bias": {"word": 5}}),
    "an unknown token to detokenize": ("/detokenize", {"model": "tiny", "tokens": [-1]}),
    "tokens of another type": ("/detokenize", {"model": "tiny", "tokens": "x"}),
    "a tool without a parser": (
        CHATS,
        {**CHAT, "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto"},
    ),
    "nothing there": ("/v1/nothing", None),
    "another method": (CHATS, None),
}
"""The answer has the same status and the same kind of error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said."""

    status: int
    type: str
    text: str


def ask(base: str, path: str, body: dict[str, object] | bytes | None) -> Answer:
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{base}{path}", data=data, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own server
            status, kind, text = response.status, response.headers["Content-Type"], response.read()
    except urllib.error.HTTPError as error:
        status, kind, text = error.code, error.headers["Content-Type"], error.read()
    return Answer(status=status, type=kind, text=text.decode())


def comparable(value: object) -> object:
    """Without what differs from one request to the next, or with the order in which threads add."""
    if isinstance(value, dict):
        return {key: comparable(found) for key, found in value.items() if key not in CHANGING}
    if isinstance(value, str):
        return PLACE.sub("", value)
    if isinstance(value, float):
        return round(value, 3)
    return [comparable(item) for item in value] if isinstance(value, list) else value


def one_stream(events: list[dict[str, Any]], index: int) -> dict[str, object]:
    """What came for one answer, without the cuts between events."""
    choices = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    deltas = [choice.get("delta", {}) for choice in choices]
    logprobs = [choice["logprobs"] for choice in choices if choice.get("logprobs")]
    return {
        "text": "".join(choice.get("text", "") for choice in choices),
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "roles": [delta["role"] for delta in deltas if "role" in delta],
        "ends": [(choice["finish_reason"], choice.get("stop_reason")) for choice in choices][-1],
        "early ends": [choice["finish_reason"] for choice in choices[:-1] if choice["finish_reason"]],
        "token_ids": [token for choice in choices for token in choice.get("token_ids") or ()],
        "logprobs": [part for found in logprobs for part in found.get("content", ())],
        "fields": sorted({name for choice in choices for name in choice}),
        "delta's fields": sorted({name for delta in deltas for name in delta}),
    }


def joined(events: list[dict[str, Any]]) -> dict[str, object]:
    """A stream without its cuts: tokens that are ready together come in one event."""
    answers = sorted({choice["index"] for event in events for choice in event["choices"]})
    return {
        "answers": [one_stream(events, index) for index in answers],
        "usage": events[-1].get("usage"),
        "events with usage": "all" if all(event.get("usage") for event in events) else "not all",
        "first": sorted(events[0]["choices"][0].get("delta", {}).items()),
        "objects": sorted({event["object"] for event in events}),
        "fields": sorted({name for event in events for name in event} - CHANGING),
    }


def read(text: str) -> object:
    """A body of JSON, or the events of a stream; text that is neither as it is."""
    if text.startswith("data: "):
        *events, last = [event.removeprefix("data: ") for event in text.strip().split("\n\n")]
        return comparable([joined([json.loads(event) for event in events]), last])
    try:
        return comparable(json.loads(text))
    except json.JSONDecodeError:
        return text


def answers(base: str, asked: dict[str, Asked]) -> dict[str, list[object]]:
    """Name of each request to status, content type and comparable answer."""
    found = {}
    for name, (path, body) in asked.items():
        answer = ask(base, path, body)
        found[name] = json.loads(json.dumps([answer.status, answer.type, read(answer.text)]))
    return found
