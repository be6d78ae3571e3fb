"""Random models of other families: `python architectures.py MODEL FOLDER` prints what each generates.

MODEL lends its tokenizer; the models go to FOLDER. Attention over a window, over both kinds, experts.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from winvllm_build.fallback.engine import Engine
from winvllm_build.fallback.model import load
from winvllm_build.fallback.options import read
from winvllm_build.fallback.sampling import Sampling
from winvllm_build.fallback.sizing import free_bytes, room_for

TOKENS = 40
PROMPTS = [[3 + (number * 7 + place) % 250 for place in range(10 + 30 * number)] for number in range(3)]
SIZES: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 512,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
BOTH = ["sliding_attention", "sliding_attention", "sliding_attention", "full_attention"]
MADE: dict[str, tuple[PreTrainedConfig, type[PreTrainedModel]]] = {
    "llama": (LlamaConfig(**SIZES), LlamaForCausalLM),
    "window": (MistralConfig(**SIZES, sliding_window=32), MistralForCausalLM),
    "both": (Gemma3TextConfig(**SIZES, sliding_window=32, layer_types=BOTH), Gemma3ForCausalLM),
    "experts": (
        Qwen3MoeConfig(**SIZES, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32),
        Qwen3MoeForCausalLM,
    ),
}


def generated(folder: Path, config: PreTrainedConfig, kind: type[PreTrainedModel]) -> list[list[int]]:
    """Write a model; what transformers' `generate` makes of the prompts."""
    torch.manual_seed(0)
    model = kind(config).to(torch.float32).eval()
    model.save_pretrained(folder)
    found = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        asked = {"max_new_tokens": TOKENS, "do_sample": False, "eos_token_id": None}
        tokens = model.generate(ids, attention_mask=torch.ones_like(ids), **asked)
        found.append(tokens[0, len(prompt) :].tolist())
    return found


async def answers(engine: Engine) -> list[list[int]]:
    engine.start(asyncio.get_running_loop())

    async def one(prompt: list[int]) -> list[int]:
        steps = engine.answer(prompt, at_most=TOKENS, ends=frozenset(), sampling=Sampling(temperature=0.0))
        return [step.token async for step in steps]

    return list(await asyncio.gather(*(one(prompt) for prompt in PROMPTS)))


def compared(name: str, lender: Path, scratch: Path) -> dict[str, list[list[int]]]:
    folder = scratch / name
    wanted = generated(folder, *MADE[name])
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(lender / file, folder)
    loaded = load(str(folder), read([str(folder), "--dtype", "float32", "--max-model-len", "256"]))
    memory = free_bytes(loaded.model.device, 0.9)
    room = room_for(loaded.needs, length=loaded.length, requests=8, batch_tokens=64, memory=memory)
    engine = Engine(loaded, room, seed=0)
    try:
        return {"engine": asyncio.run(answers(engine)), "generate": wanted}
    finally:
        engine.stop()


if __name__ == "__main__":
    given = [Path(word) for word in sys.argv[1:]]
    sys.stdout.write(json.dumps({name: compared(name, *given) for name in MADE}))
