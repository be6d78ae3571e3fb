"""What vLLM v0.33.0 planned for small models (`winsim.caches`), and our own plan for the same."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from winvllm_build.runtime import attention, modelfiles, pool
from winvllm_build.runtime.modelfiles import text_config

RECORDED = Path(__file__).resolve().parent / "recorded" / "kv-cache" / "v0.33.0.json"
SMALL = ("gemma3_text", "deepseek_v3", "qwen3_next", "granitemoehybrid-fp8")
"""Windows, latent attention and states, and such with FP8, for the test that asks vLLM again."""
IN_FLIGHT = 2048
BFLOAT16 = 2
FLOAT8 = 1
QWEN3_8B = {
    "model_type": "qwen3", "head_dim": 128, "hidden_size": 4096, "intermediate_size": 12288,
    "max_position_embeddings": 40960, "num_attention_heads": 32, "num_hidden_layers": 36,
    "num_key_value_heads": 8, "sliding_window": None, "use_sliding_window": False,
    "tie_word_embeddings": False, "vocab_size": 151936,
}  # fmt: skip
"""As the model publishes it."""


@functools.cache
def recorded() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return found


def own_pool(model: dict[str, Any]) -> pool.Pool:
    """Our plan, with blocks of as many tokens as that machine's attention takes."""
    answer = model["answer"]
    layers = attention.layers(text_config(model["config"]))
    assert len(layers) == answer["layers"]
    latent = any(isinstance(one, attention.Attention) and one.value == 0 for one in layers)
    tokens = pool.BLOCK if latent else 128
    kept = FLOAT8 if model.get("kv_cache_dtype") == "fp8" else BFLOAT16
    widths = pool.Widths(attention=kept, state=BFLOAT16)
    return pool.pool(layers, widths=widths, in_flight=IN_FLIGHT, tokens=tokens)


def same_plan(model: dict[str, Any]) -> None:
    """The groups, the size of a block, how many there are and how many requests they hold are vLLM's."""
    answer, own = model["answer"], own_pool(model)
    states = [
        kind == "MambaSpec" for kind in answer["kinds"]
    ]  # vLLM tells the longest request as their tokens
    groups = [
        (page, None if state else tokens)
        for (_, tokens, page), state in zip(answer["groups"], states, strict=True)
    ]
    ours = [(g.page, g.tokens if isinstance(g.layer, attention.Attention) else None) for g in own.groups]
    assert sorted(groups, key=str) == sorted(ours, key=str)
    assert max(g.count for g in own.groups) == max(count for count, *_ in answer["groups"])
    assert answer["memory"] // own.block == answer["num_blocks"]
    assert own.requests(answer["memory"], answer["length"]) == pytest.approx(answer["requests"], rel=1e-12)


def model(folder: Path, **config: Any) -> modelfiles.Model:  # noqa: ANN401 - any value of a config.json
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**QWEN3_8B, **config}), encoding="utf-8")
    return modelfiles.read(str(folder), {})
