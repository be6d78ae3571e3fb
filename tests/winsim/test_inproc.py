"""AsyncLLM and `vllm serve` with the engine in their own process, against upstream's engine process."""

from __future__ import annotations

import json
import re
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.winsim.conftest import Machines
from tests.winsim.test_serve import TAGS, arguments, ask, free_port, wait_until_up
from tests.winsim.trees import Machine

pytestmark = pytest.mark.network
EVERY = (*TAGS, "v0.19.1")
SECOND = "VLLM_ENABLE_V1_MULTIPROCESSING=1"
"""What the error about a second engine in a process asks for."""
PLACE = re.compile(r'File "[^"]*", line \d+')
"""Older tags name the line of their source that refuses a body."""
NEVER_EQUAL = {"id", "created", "root", "permission", "kv_transfer_params", "system_fingerprint"}
GREEDY = {"model": "tiny", "temperature": 0, "ignore_eos": True, "max_tokens": 6, "seed": 1}
CHAT = {**GREEDY, "messages": [{"role": "user", "content": "naïve 你好"}]}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": [1, 2]}},
    "required": ["a"],
    "additionalProperties": False,
}
ASKED: dict[str, tuple[str, dict[str, object] | None]] = {
    "models": ("/v1/models", None),
    "completion": ("/v1/completions", {**GREEDY, "prompt": "hello world", "logprobs": 2, "echo": True}),
    "two answers": ("/v1/completions", {**GREEDY, "prompt": ["the quick", "brown fox"], "n": 2}),
    "tokens in, tokens out": ("/v1/completions", {**GREEDY, "prompt": [5, 9, 20], "return_token_ids": True}),
    "stop": ("/v1/completions", {**GREEDY, "prompt": "hello", "ignore_eos": False, "stop": ["e", "o"]}),
    "streamed": (
        "/v1/completions",
        {**GREEDY, "prompt": "hello", "stream": True, "stream_options": {"include_usage": True}},
    ),
    "chat": ("/v1/chat/completions", {**CHAT, "logprobs": True, "top_logprobs": 2}),
    "chat streamed": (
        "/v1/chat/completions",
        {**CHAT, "stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    ),
    "schema": (
        "/v1/chat/completions",
        {**CHAT, "max_tokens": 60, "ignore_eos": False}
        | {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}}},
    ),
    "tokenize": ("/tokenize", {"model": "tiny", "prompt": "hello world"}),
    "unknown model": ("/v1/completions", {**GREEDY, "model": "other", "prompt": "x"}),
    "too long": ("/v1/completions", {**GREEDY, "prompt": "x " * 2000}),
    "no messages": ("/v1/chat/completions", GREEDY),
    "bad value": ("/v1/completions", {**GREEDY, "prompt": "x", "max_tokens": -1}),
    "bad schema": (
        "/v1/chat/completions",
        {
            **CHAT,
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": 7}}},
        },
    ),
}


def comparable(value: object) -> object:
    """Without what differs from one request to the next, or with the order in which threads add."""
    if isinstance(value, dict):
        return {key: comparable(found) for key, found in value.items() if key not in NEVER_EQUAL}
    if isinstance(value, str):
        return PLACE.sub("", value)
    if isinstance(value, float):
        return round(value, 3)
    return [comparable(item) for item in value] if isinstance(value, list) else value


def joined(events: list[dict[str, Any]]) -> dict[str, object]:
    """A stream without its cuts: tokens that are ready together come in one event."""
    choices = [choice for event in events for choice in event["choices"]]
    deltas = [choice.get("delta", {}) for choice in choices]
    return {
        "text": "".join(choice.get("text", "") for choice in choices),
        "content": "".join(delta.get("content") or "" for delta in deltas),
        "roles": [delta["role"] for delta in deltas if "role" in delta],
        "ends": [choice["finish_reason"] for choice in choices if choice["finish_reason"]],
        "usage": events[-1]["usage"],
        "names": sorted({name for part in (*events, *choices, *deltas) for name in part} - NEVER_EQUAL),
    }


def read(text: str) -> object:
    """A body of JSON, or the events of a stream."""
    if not text.startswith("data: "):
        return comparable(json.loads(text))
    *events, last = [event.removeprefix("data: ") for event in text.strip().split("\n\n")]
    return comparable([joined([json.loads(event) for event in events]), last])


def answers(machine: Machine, model: Path) -> tuple[dict[str, Any], str]:
    """What a server says to each request, and its log."""
    port, found = free_port(), {}
    with machine.start(*arguments(model, port)) as server:
        wait_until_up(server, port)
        for name, (path, body) in ASKED.items():
            try:
                found[name] = (200, read(ask(port, path, body).decode()))
            except urllib.error.HTTPError as error:
                found[name] = (error.code, read(error.read().decode()))
        return found, server.text


@pytest.mark.parametrize("tag", TAGS)
def test_the_server_answers_what_upstreams_does(machine: Machines, model: Path, tag: str) -> None:
    upstream, _ = answers(machine(tag, patched=False, emulated=False), model)
    ours, log = answers(machine(tag), model)
    assert "(EngineCore" not in log  # no process of its own
    for name in ASKED:
        assert ours[name] == upstream[name], name
    said = json.loads(ours["schema"][1]["choices"][0]["message"]["content"])
    assert said["a"] in (1, 2)


@pytest.mark.parametrize("tag", EVERY)
def test_streams_cancels_and_dies_in_one_process(machine: Machines, model: Path, tag: str) -> None:
    golden = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    ended = machine(tag).run("winsim.concurrent", model)
    assert ended.status == 0, ended.text[-3000:]
    found = ended.answer
    assert found["client"] == "AsyncInprocClient"
    assert found["loop"] == "ProactorEventLoop"
    assert found["children"] == []
    assert found["contexts"] == {"of the engine": 0, "seen": 1}
    for index, tokens in enumerate(found["tokens"]):
        assert tokens == golden["tokens"][index % len(golden["tokens"])]
    utilities = found["utilities"]
    assert "LoRA is not enabled" in utilities.pop("loras")  # refused, and the engine lives on
    assert utilities == {"asleep": False, "reset": True, "tasks": ["generate"]}
    assert found["given up"] == {"left": 0, "status": "FINISHED_ABORTED", "whole": False}
    assert found["killed"] == ["EngineDeadError", "EngineDeadError", "True"]
    assert found["threads"] == []


@pytest.mark.parametrize("tag", TAGS)
def test_engines_begin_and_end_in_one_process(machine: Machines, model: Path, tag: str) -> None:
    ended = machine(tag).run("winsim.endings", model)
    assert ended.status == 0, ended.text[-3000:]
    found = ended.answer
    loading = found["interrupted"]
    assert (loading["error"], loading["loaded"]) == ("KeyboardInterrupt", False)
    assert SECOND in loading["beside it"]  # while the first one's thread still loads
    assert found["failed"] | {"threads": []} == {
        "error": "No available memory for the cache blocks.",
        "weights": [False],
        "groups": False,
        "threads": [],
    }
    alone = found["alone"]
    assert SECOND in alone["second"]
    assert SECOND in alone["llm"]
    assert (alone["overwritten"], alone["shared"]) == (True, False)
    assert alone["unspeakable"] == "Exception"  # what cannot be encoded is an answer, too
    assert found["cut"]["ends"] == (["EngineDeadError"] if tag < "v0.19" else [""])
    assert found["exit"]["ends"] == ["EngineDeadError", "EngineDeadError"]
    if tag >= "v0.19":
        assert found["drained"] | {"threads": []} == {"healthy": "", "tokens": 100, "left": 0, "threads": []}
    assert [name for name, part in found.items() if name != "groups" and part["threads"]] == []
    assert found["groups"] is False
