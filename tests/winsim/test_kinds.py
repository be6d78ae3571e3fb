"""What `vllm serve` has beside text, its engine in its own process: tools, reasoning, adapters, pooling."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.winsim.conftest import Machines
from tests.winsim.kinds import GENERATED, POOLED, SLEPT, Asked, adapter, answer
from tests.winsim.test_serve import NEWEST, TAGS, arguments, ask, free_port, wait_until_up
from tests.winsim.trees import Machine

pytestmark = pytest.mark.network
DEVELOPED = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}
"""Endpoints to sleep and to call every worker, and to load an adapter."""
TOLD_APART = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
PARSED = [
    *[*TOLD_APART, "--reasoning-parser", "qwen3"],
    *["--structured-outputs-config", '{"enable_in_reasoning": true}'],
]
CALLED = ("named tool", "required tool", "written tool")
"""What calls the function; beside a parser of reasoning older tags stream it as that."""
OUTSIDE = "vllm:"
STEPS = re.compile(
    r"vllm:(iteration_tokens|inter_token|time_per_output_token|estimated|tool_call_parser\w+\{mode=\"streaming\")"
)
COUNTS = re.compile(r"(_total|_count)(\{|$)")
Counted = dict[str, float]


def counted(port: int) -> Counted:
    """The counters of vLLM and how often each histogram was told something, by name and label."""
    lines = [line.rpartition(" ") for line in ask(port, "/metrics").decode().splitlines()]
    return {
        name: float(value) for name, _, value in lines if name.startswith(OUTSIDE) and COUNTS.search(name)
    }


def steady(moved: Counted) -> Counted:
    """Without what counts steps: how many tokens one has is a matter of time."""
    return {name: value for name, value in moved.items() if not STEPS.match(name)}


def total(moved: Counted, name: str) -> float:
    return sum(value for label, value in moved.items() if label.partition("{")[0] == name)


def said(
    machine: Machine, model: Path, asked: dict[str, Asked], *more: str
) -> tuple[dict[str, tuple[int, Any]], Counted, str]:
    """What a server says to each request, how its counters moved, and its log."""
    port, lora = free_port(), adapter(machine.scratch / "adapter")
    words = [word.replace("ADAPTER", str(lora)) for word in more]
    with machine.start(*arguments(model, port, *words), **DEVELOPED) as server:
        wait_until_up(server, port)
        before = counted(port)
        found = {name: answer(port, one, lora) for name, one in asked.items()}
        after = counted(port)
        return found, {name: after[name] - before.get(name, 0) for name in after}, server.text


def content(answered: tuple[int, Any]) -> str:
    found: str = answered[1]["choices"][0]["message"]["content"]
    return found


def calls(answered: tuple[int, Any]) -> list[tuple[str, Any]]:
    """The functions that an answer or a stream calls."""
    choice = answered[1].get("whole", answered[1])["choices"][0]
    found = choice.get("message", choice.get("delta"))["tool_calls"]
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in found]


def differing(ours: dict[str, Any], upstream: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*ours, *upstream})
    return {
        name: (ours.get(name), upstream.get(name)) for name in names if ours.get(name) != upstream.get(name)
    }


@pytest.mark.parametrize("tag", NEWEST)
def test_a_text_model_does_what_upstreams_does(machine: Machines, model: Path, tag: str) -> None:
    flags = [*PARSED, "--enable-lora", "--max-lora-rank", "8", "--lora-modules", "friend=ADAPTER"]
    ours, moved, log = said(machine(tag), model, GENERATED, *flags)
    assert "(EngineCore" not in log  # no process of its own
    for name in CALLED if tag < "v0.33" else (*CALLED, *(f"{name} streamed" for name in CALLED)):
        assert [function for function, _ in calls(ours[name])] == ["weather"], name
        assert "Oslo" in json.dumps(calls(ours[name])), name
    assert content(ours["choice"]) in ("left", "right")
    assert re.fullmatch("[ab]{3}-[0-9]{2}", content(ours["regex"]))
    if tag > "v0.19":  # v0.14.1 takes it for reasoning after <think> alone
        thought = ours["reasoning streamed"][1]["whole"]["choices"][0]["delta"]
        assert thought["reasoning"]
        assert thought["content"]
    texts = {name: ours[name][1]["choices"][0]["text"] for name in ("adapter", "late", "no adapter", "after")}
    assert texts["adapter"] == texts["late"] != texts["no adapter"] == texts["after"]
    assert ours["gone"][0] == 404
    assert total(moved, "vllm:prefix_cache_hits_total") == 128  # of `kept again` alone
    upstream, moved_there, log = said(machine(tag, patched=False, emulated=False), model, GENERATED, *flags)
    assert "(EngineCore" in log
    assert differing(ours, upstream) == {}
    assert differing(steady(moved), steady(moved_there)) == {}
    assert total(moved, "vllm:generation_tokens_total") > 0


@pytest.mark.long
@pytest.mark.parametrize("tag", TAGS)
def test_calls_are_streamed_without_reasoning_and_every_sleep_ends(
    machine: Machines, model: Path, tag: str
) -> None:
    asked = {**{name: GENERATED[name] for one in CALLED for name in (one, f"{one} streamed")}, **SLEPT}
    ours, moved, log = said(machine(tag), model, asked, *TOLD_APART)
    assert "(EngineCore" not in log
    for name in CALLED:
        for way in (name, f"{name} streamed"):
            assert [function for function, _ in calls(ours[way])] == ["weather"], way
            assert "Oslo" in json.dumps(calls(ours[way])), way
    slept = [ours[f"{name} {level}"][1] for level in (1, 2) for name in ("sleeping", "awake")]
    assert slept == [{"is_sleeping": True}, {"is_sleeping": False}] * 2
    upstream, moved_there, _ = said(machine(tag, patched=False, emulated=False), model, asked, *TOLD_APART)
    assert differing(ours, upstream) == {}
    assert differing(steady(moved), steady(moved_there)) == {}


@pytest.mark.parametrize("tag", NEWEST)
def test_a_pooling_model_does_what_upstreams_does(machine: Machines, model: Path, tag: str) -> None:
    ours, moved, log = said(machine(tag), model, POOLED, "--runner", "pooling")
    assert "(EngineCore" not in log
    one, other = (entry["embedding"] for entry in ours["embeddings"][1]["data"])
    assert len(one) == len(other) == 64
    assert sum(value * value for value in one) == pytest.approx(1, abs=0.02)
    assert one != other
    assert len(ours["many"][1]["data"]) == 32
    assert ours["score"][1]["data"][0]["score"] == pytest.approx(1, abs=0.001)
    assert ours["a mebibyte"][0] == 400
    upstream, moved_there, _ = said(
        machine(tag, patched=False, emulated=False), model, POOLED, "--runner", "pooling"
    )
    assert differing(ours, upstream) == {}
    assert differing(steady(moved), steady(moved_there)) == {}
    assert total(moved, "vllm:prompt_tokens_total") > 0
