"""Requests of every kind that a server of a small text model answers, and what is compared of the answers."""

from __future__ import annotations

import json
import random
import struct
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.winsim.test_aliases import HIDDEN, RANK
from tests.winsim.test_inproc import CHAT, GREEDY, NEVER_EQUAL, SCHEMA, comparable

Asked = tuple[str, dict[str, object] | None]
INNER = 128
"""The model's intermediate size."""
THOUGHTS = [4, *range(40, 100)]
"""</think> and letters: a random model soon ends to think where it may say nothing else."""
BLANKS = ("227", "205", "204", "208")
"""Tokens of white space, which a random model likes to repeat where a grammar allows it."""
END = "2"
"""The token that ends a turn, where a grammar allows it."""
DRAWN = {**GREEDY, "temperature": 1.0}
PLAIN = {**CHAT, "ignore_eos": False, "max_tokens": 120, "chat_template_kwargs": {"enable_thinking": False}}
"""A chat whose text is no reasoning, so that its structure is looked for at once."""
WEATHER = {
    "type": "object",
    "properties": {"city": {"enum": ["Rome", "Oslo"]}, "days": {"enum": [1, 2]}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
FUNCTION = {"name": "weather", "description": "of a city", "parameters": WEATHER}
TOOLS = {**PLAIN, "tools": [{"type": "function", "function": FUNCTION}]}
FORCED = {
    **TOOLS,
    "tools": [{"type": "function", "function": {**FUNCTION, "strict": True}}],
    "logit_bias": {**dict.fromkeys(BLANKS, -50), END: 50},
}
NAMED = {**FORCED, "tool_choice": {"type": "function", "function": {"name": "weather"}}}
WRITTEN = (
    r'<tool_call>\{"name": "weather", "arguments": \{"city": "(Rome|Oslo)", "days": [12]\}\}</tool_call>'
)
"""What hermes' models write; the grammar makes the random model write it."""
FORMAT = {"type": "json_schema", "name": "s", "schema": SCHEMA}
RESPONSE = {"model": "tiny", "input": "naïve 你好", "temperature": 0, "max_output_tokens": 8}
PIECES = {"arguments", "content", "reasoning", "reasoning_content", "text"}
"""What comes in pieces; of other strings the last holds."""
OF_ONE_ANSWER = frozenset(NEVER_EQUAL | {"created_at", "completed_at", "signature", "item_id"})
OF_A_CUT = OF_ONE_ANSWER | {"reasoning_tokens"}
"""In a streamed response upstream counts these event by event: 5 or 6 of the same 8 tokens."""
NOW: dict[str, object] = {}
LONG = [40 + number % 50 for number in range(200)]
"""More than a block of the cache, of 128 tokens on a CPU."""

GENERATED: dict[str, Asked] = {
    "named tool": ("/v1/chat/completions", NAMED),
    "named tool streamed": ("/v1/chat/completions", {**NAMED, "stream": True}),
    "required tool": ("/v1/chat/completions", {**FORCED, "tool_choice": "required"}),
    "required tool streamed": ("/v1/chat/completions", {**FORCED, "tool_choice": "required", "stream": True}),
    "written tool": ("/v1/chat/completions", {**TOOLS, "structured_outputs": {"regex": WRITTEN}}),
    "written tool streamed": (
        "/v1/chat/completions",
        {**TOOLS, "structured_outputs": {"regex": WRITTEN}, "stream": True},
    ),
    "unknown tool": (
        "/v1/chat/completions",
        {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "other"}}},
    ),
    "choice": ("/v1/chat/completions", {**PLAIN, "structured_outputs": {"choice": ["left", "right"]}}),
    "regex": ("/v1/chat/completions", {**PLAIN, "structured_outputs": {"regex": "[ab]{3}-[0-9]{2}"}}),
    "grammar": (
        "/v1/completions",
        {**GREEDY, "ignore_eos": False, "prompt": "x"}
        | {"structured_outputs": {"grammar": 'root ::= "yes " ("so" | "no")'}, "max_tokens": 20},
    ),
    "schema streamed": (
        "/v1/chat/completions",
        {**PLAIN, "stream": True}
        | {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
    ),
    "bad grammar": (
        "/v1/chat/completions",
        {**PLAIN, "structured_outputs": {"grammar": "root ::= ("}},
    ),
    "reasoning": (
        "/v1/chat/completions",
        {**CHAT, **DRAWN, "max_tokens": 120, "allowed_token_ids": THOUGHTS},
    ),
    "reasoning streamed": (
        "/v1/chat/completions",
        {**CHAT, **DRAWN, "max_tokens": 120, "allowed_token_ids": THOUGHTS, "stream": True},
    ),
    "several": ("/v1/completions", {**DRAWN, "prompt": "hello", "n": 3, "logprobs": 5, "prompt_logprobs": 1}),
    "several chats": (
        "/v1/chat/completions",
        {**CHAT, **DRAWN, "n": 3, "logprobs": True, "top_logprobs": 3, "stream": True},
    ),
    "penalties": (
        "/v1/completions",
        {**GREEDY, "prompt": "hello", "repetition_penalty": 1.5, "presence_penalty": 1, "min_tokens": 4}
        | {"logit_bias": {"50": 0.2}, "bad_words": ["lo"]},
    ),
    "drawn": ("/v1/completions", {**DRAWN, "prompt": "hello", "top_k": 20, "top_p": 0.9, "min_p": 0.001}),
    "adapter": ("/v1/completions", {**GREEDY, "model": "friend", "prompt": "hello"}),
    "no adapter": ("/v1/completions", {**GREEDY, "prompt": "hello"}),
    "adapter late": ("/v1/load_lora_adapter", {"lora_name": "late", "lora_path": "ADAPTER"}),
    "late": ("/v1/completions", {**GREEDY, "model": "late", "prompt": "hello"}),
    "adapter gone": ("/v1/unload_lora_adapter", {"lora_name": "late"}),
    "gone": ("/v1/completions", {**GREEDY, "model": "late", "prompt": "hello"}),
    "adapter missing": ("/v1/load_lora_adapter", {"lora_name": "x", "lora_path": "nowhere"}),
    "response": ("/v1/responses", RESPONSE),
    "response streamed": ("/v1/responses", {**RESPONSE, "stream": True}),
    "response of a schema": (
        "/v1/responses",
        {**RESPONSE, "max_output_tokens": 60, "text": {"format": FORMAT}},
    ),
    "message": (
        "/v1/messages",
        {"model": "tiny", "max_tokens": 8, "temperature": 0, "messages": CHAT["messages"]},
    ),
    "detokenize": ("/detokenize", {"model": "tiny", "tokens": [50, 60, 70]}),
    "asleep": ("/is_sleeping", None),
    "sleep": ("/sleep?level=0", NOW),
    "sleeping": ("/is_sleeping", None),
    "wake": ("/wake_up", NOW),
    "awake": ("/is_sleeping", None),
    "pause": ("/pause", NOW),
    "paused": ("/is_paused", None),
    "resume": ("/resume", NOW),
    "resumed": ("/is_paused", None),
    "after": ("/v1/completions", {**GREEDY, "prompt": "hello"}),
    "kept": ("/v1/completions", {**GREEDY, "prompt": LONG}),
    "kept again": ("/v1/completions", {**GREEDY, "prompt": LONG}),
    "every worker": ("/collective_rpc", {"method": "list_loras"}),
    "no such method": ("/collective_rpc", {"method": "nothing"}),
    "cache": ("/reset_prefix_cache", NOW),
    "not kept": ("/v1/completions", {**GREEDY, "prompt": LONG}),
}
SLEPT: dict[str, Asked] = {
    name: asked
    for level in (1, 2)
    for name, asked in {
        f"sleep {level}": (f"/sleep?level={level}", NOW),
        f"sleeping {level}": ("/is_sleeping", None),
        f"wake {level}": ("/wake_up", NOW),
        f"awake {level}": ("/is_sleeping", None),
        f"after {level}": ("/v1/completions", {**GREEDY, "prompt": "hello"}),
    }.items()
}
"""The levels that free memory: a CPU says so, and frees none."""
POOLED: dict[str, Asked] = {
    "embeddings": ("/v1/embeddings", {"model": "tiny", "input": ["hello world", "naïve 你好"]}),
    "of tokens": ("/v1/embeddings", {"model": "tiny", "input": [[5, 9, 20], [7]]}),
    "base64": ("/v1/embeddings", {"model": "tiny", "input": "hello", "encoding_format": "base64"}),
    "of a chat": ("/v1/embeddings", {"model": "tiny", "messages": CHAT["messages"]}),
    "pooling": ("/pooling", {"model": "tiny", "input": "hello world"}),
    "score": ("/score", {"model": "tiny", "text_1": "hello", "text_2": ["hello", "the fox"]}),
    "rerank": ("/rerank", {"model": "tiny", "query": "hello", "documents": ["the fox", "hello"]}),
    "many": ("/v1/embeddings", {"model": "tiny", "input": ["fox " * n for n in range(1, 33)]}),
    "a mebibyte": ("/v1/embeddings", {"model": "tiny", "input": "x " * 2**19}),
    "unknown": ("/v1/embeddings", {"model": "other", "input": "x"}),
    "completion": ("/v1/completions", {**GREEDY, "prompt": "hello"}),
}


def adapter(folder: Path) -> Path:
    """A LoRA that changes what the model says."""
    folder.mkdir(parents=True)
    settings = {"peft_type": "LORA", "r": RANK, "lora_alpha": 64, "bias": "none"}
    chosen = json.dumps({**settings, "target_modules": ["down_proj"]})
    (folder / "adapter_config.json").write_text(chosen, encoding="utf-8")
    draw = random.Random(1)  # noqa: S311 - the same weights each time, no secret
    header, content = {}, b""
    for letter, shape in {"A": (RANK, INNER), "B": (HIDDEN, RANK)}.items():
        count = shape[0] * shape[1]
        begin, content = (
            len(content),
            content + struct.pack(f"<{count}f", *(draw.gauss(0, 1) for _ in range(count))),
        )
        header[f"base_model.model.model.layers.1.mlp.down_proj.lora_{letter}.weight"] = {
            "dtype": "F32",
            "shape": shape,
            "data_offsets": [begin, len(content)],
        }
    text = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + content)
    return folder


def answer(port: int, asked: Asked, lora: Path) -> tuple[int, Any]:
    path, body = asked
    data = None if body is None else json.dumps(body).replace("ADAPTER", str(lora)).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=data, headers={"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310 - our own server
            return response.status, read(response.read().decode().replace(str(lora), "ADAPTER"))
    except urllib.error.HTTPError as error:
        with error:
            return error.code, read(error.read().decode().replace(str(lora), "ADAPTER"))


def stripped(value: object, names: frozenset[str] = OF_ONE_ANSWER) -> object:
    """Without what differs from one answer to the next."""
    if isinstance(value, dict):
        return {key: stripped(found, names) for key, found in value.items() if key not in names}
    return [stripped(item, names) for item in value] if isinstance(value, list) else comparable(value)


def read(text: str) -> object:
    """A body of JSON, a stream's events put together, or plain text."""
    if text.startswith(("data: ", "event: ")):
        lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
        events = [json.loads(line) for line in lines if line != "[DONE]"]
        return stripped({"last": lines[-1] == "[DONE]", "whole": whole(events)})
    try:
        return stripped(json.loads(text))
    except json.JSONDecodeError:
        return text


def whole(events: list[dict[str, Any]]) -> object:
    """A stream without its cuts: tokens that are ready together come in one event."""
    if not events or "choices" in events[0]:
        found: object = {}
        for event in events:
            found = merged(found, event)
        return found
    types = [event["type"] for event in events]
    return {
        "types": [name for at, name in enumerate(types) if types[at - 1 : at] != [name]],
        "text": "".join(event["delta"] for event in events if isinstance(event.get("delta"), str)),
        "end": stripped(events[-1]["response"], OF_A_CUT),
    }


def merged(old: object, new: object, name: str = "") -> object:
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: merged(old.get(key), new.get(key), key) for key in {**old, **new}}
    if isinstance(old, list) and isinstance(new, list):
        if not all(isinstance(item, dict) and "index" in item for item in (*old, *new)):
            return old + new
        known: dict[int, object] = {item["index"]: item for item in old}
        for item in new:
            known[item["index"]] = merged(known.get(item["index"]), item)
        return [known[index] for index in sorted(known)]
    if isinstance(old, str) and isinstance(new, str) and name in PIECES:
        return old + new
    return old if new is None else new
