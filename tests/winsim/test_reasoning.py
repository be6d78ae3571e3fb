"""The layer `qwen3-reasoning`: vLLM's own classes divide every text alike, however it is cut into deltas."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from tests.winsim.conftest import Machines
from tests.winsim.trees import PATCHES

pytestmark = pytest.mark.network
LAYER = "qwen3-reasoning"
PIECES = (
    "<think>", "</think>", "<tool_call>", "</tool_call>", "a plan", " hello", "\n", "\r\n", "\r", "<", "</",
    "<tool", "</thin", "k>", "call>", "naïve 你好", " ", '{"name": "f"}', "_call>",
)  # fmt: skip
WRITTEN = (
    "<think>a plan</think>hello",
    "<think>\r\na plan\r\n</think>\r\n\r\nhello\r\n",
    "a plan</think>\n\nhello",
    'a plan\n<tool_call>\n{"name": "f"}\n</tool_call>',
    '<think>a plan<tool_call>{"name": "f"}</tool_call></think>hello',
    "a plan</think><tool_call>{}</tool_call><tool_call>{}</tool_call>",
    "hello",
    "\n\n<think>cut off",
    "",
)
TURNS = {
    "nothing": [],
    "answer": ["</think>", "x"],
    "call": ["<tool_call>", "x"],
    "whole call": ["x", "<tool_call>", "x", "</tool_call>"],
    "example in the prompt": [
        "<|im_start|>",
        "<tool_call>",
        "</tool_call>",
        "<|im_end|>",
        "<|im_start|>",
        "x",
    ],
    "thinks again": ["</think>", "<think>", "x"],
    "thought in an earlier turn": ["<|im_start|>", "<think>", "x", "</think>", "x", "<|im_start|>", "x"],
    "call in an earlier turn": ["<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_start|>", "x"],
    "thinking disabled": ["</think>", "<|im_start|>", "<think>", "x", "</think>", "x"],
}


ENDS = (4, 5)
"""The ids of </think> and <tool_call> in the test's model."""


def texts() -> list[str]:
    """Texts of tags and pieces of tags, the same each time."""
    chosen = random.Random(8)  # noqa: S311 - the same texts each time, no secret
    return [*WRITTEN, *("".join(chosen.choices(PIECES, k=chosen.randint(1, 8))) for _ in range(80))]


def meant(text: str, *, always: bool) -> tuple[str, str]:
    """Reasoning and content, as the layer's page says it; `always`: also without <think>."""
    begin = re.match(r"\s*<think>", text)
    if begin is None and not always:
        return "", text
    body = text[begin.end() :] if begin else text
    end = re.search("</think>|<tool_call>", body)
    if end is None:
        return body, ""
    return body[: end.start()], body[end.end() if end[0] == "</think>" else end.start() :]


def held_back(said: str, whole: str) -> bool:
    """Whether a stream that was cut off lacks no more than what could have become a tag."""
    lacking = whole[len(said) :]
    return whole.startswith(said) and any(
        tag.startswith(lacking.lstrip()) for tag in ("<think>", "</think>", "<tool_call>")
    )


def run(machine: Machines, tag: str, model: Path, folder: Path, *layers: str) -> dict[str, Any]:
    (folder / "texts.json").write_text(json.dumps(texts()), encoding="utf-8")
    (folder / "turns.json").write_text(json.dumps(TURNS), encoding="utf-8")
    ended = machine(tag, layers=layers).run("winsim.reasoning", model, folder / "texts.json")
    assert ended.status == 0, ended.text[-3000:]
    found: dict[str, Any] = ended.answer
    return found


def ends_by_ids(text: str, tokens: list[int], ended: list[Any]) -> None:
    """The server hands what follows to the tool parser from the delta on of which the ids say so."""
    if "<think>" in text:
        return  # a later one in the same delta begins anew
    first = next((at for at, token in enumerate(tokens) if token in ENDS), None)
    for begins, said in ended:
        wanted = None if first is None else next(end for end in (*begins, len(tokens)) if first < end)
        assert said == wanted, (repr(text), begins)


@pytest.mark.parametrize("tag", ["v0.14.1", "v0.19.1"])
def test_every_cut_divides_a_text_alike(tag: str, machine: Machines, model: Path, tmp_path: Path) -> None:
    found = run(machine, tag, model, tmp_path, LAYER)
    assert found["parser"] == "Qwen3TextReasoningParser"
    assert sum(one["streams"] for one in found["texts"]) > 5_000
    for text, one in zip(texts(), found["texts"], strict=True):
        reasoning, content = meant(text, always=tag != "v0.14.1")
        assert [part or "" for part in one["whole"]] == [reasoning, content], repr(text)
        for said in one["streamed"]:
            assert said[1] == content or (not reasoning and held_back(said[1], content)), (repr(text), said)
            assert said[0] == reasoning or (not content and held_back(said[0], reasoning)), (repr(text), said)
        ends_by_ids(text, one["tokens"], one["ended"])
    assert {name for name, ended in found["turns"].items() if ended} == {
        "answer",
        "call",
        "whole call",
        "thinking disabled",
    }


def test_without_the_layer_cuts_divide_a_text_differently(
    machine: Machines, model: Path, tmp_path: Path
) -> None:
    """What the layer is for: upstream's parser of these tags goes by ids, and knows no <tool_call>."""
    found = run(machine, "v0.19.1", model, tmp_path)
    assert found["parser"] == "Qwen3ReasoningParser"
    answers = dict(zip(texts(), found["texts"], strict=True))
    assert answers[WRITTEN[3]]["whole"][1] is None, "the call is reasoning"
    assert len(answers[WRITTEN[0]]["streamed"]) > 1
    assert found["turns"]["call"] is False


def test_both_patch_releases_have_the_same_parser() -> None:
    files = [PATCHES / tag / LAYER / "vllm/vllm/reasoning" for tag in ("v0.19.0", "v0.19.1")]
    for name in ("__init__.py.patch", "qwen3_text_reasoning_parser.py.patch"):
        first, second = ((folder / name).read_text("utf-8").partition("diff --git")[2] for folder in files)
        assert first == second
