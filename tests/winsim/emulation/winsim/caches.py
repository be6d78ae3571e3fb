"""How vLLM lays out the KV cache of small models: `python -m winsim.caches MODEL... ANSWER`.

Each model is built with random weights and asked for the caches of its layers; vLLM's own planning then says
how many blocks a given memory holds, and how many of the longest requests. Nothing is computed with it.
`MODEL-fp8` is the same model with keys and values of one byte.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.model_loader import base_loader
from vllm.v1.attention.backends.utils import resolve_kv_cache_layout
from vllm.v1.core import kv_cache_planning, kv_cache_utils
from vllm.v1.executor.uniproc_executor import UniProcExecutor

AVAILABLE = 4 << 30
IN_FLIGHT = 2048
HEADLESS = {
    "vocab_size": 512,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
}
BASE = {**HEADLESS, "head_dim": 32}
LINEAR = {
    "num_hidden_layers": 8,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 32, "mamba_d_state": 64, "mamba_n_groups": 1}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", BASE),
    "qwen2": ("Qwen2ForCausalLM", HEADLESS),
    "qwen3": ("Qwen3ForCausalLM", BASE),
    "phi3": ("Phi3ForCausalLM", {**HEADLESS, "pad_token_id": 0}),
    "falcon": (
        "FalconForCausalLM",
        {
            "vocab_size": 512,
            "hidden_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "multi_query": True,
            "new_decoder_architecture": False,
            "alibi": False,
        },
    ),
    "mistral": ("MistralForCausalLM", {**BASE, "sliding_window": 1024}),
    "gemma2": ("Gemma2ForCausalLM", {**BASE, "sliding_window": 1024}),
    "gemma3_text": ("Gemma3ForCausalLM", {**BASE, "num_hidden_layers": 8, "sliding_window": 512}),
    "gemma4_text": ("Gemma4ForCausalLM", {**BASE, "sliding_window": 512, "global_head_dim": 64}),
    "cohere2": ("Cohere2ForCausalLM", {**BASE, "num_hidden_layers": 8, "sliding_window": 512}),
    "gpt_oss": (
        "GptOssForCausalLM",
        {**BASE, "num_hidden_layers": 7, "num_local_experts": 4, "sliding_window": 128},
    ),
    "llama4_text": (
        "Llama4ForCausalLM",
        {
            **BASE,
            "num_hidden_layers": 8,
            "num_local_experts": 4,
            "intermediate_size_mlp": 256,
            "attention_chunk_size": 512,
        },
    ),
    "deepseek_v3": (
        "DeepseekV3ForCausalLM",
        {
            **HEADLESS,
            "kv_lora_rank": 64,
            "q_lora_rank": 48,
            "qk_rope_head_dim": 16,
            "qk_nope_head_dim": 32,
            "v_head_dim": 32,
            "n_routed_experts": 8,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 64,
            "n_shared_experts": 1,
            "n_group": 1,
            "topk_group": 1,
            "first_k_dense_replace": 1,
        },
    ),
    "minicpm3": (
        "MiniCPM3ForCausalLM",
        {
            **HEADLESS,
            "num_key_value_heads": 4,
            "kv_lora_rank": 64,
            "q_lora_rank": 48,
            "qk_rope_head_dim": 32,
            "qk_nope_head_dim": 64,
            "v_head_dim": 32,
            "dim_model_base": 64,
        },
    ),
    "qwen3_next": (
        "Qwen3NextForCausalLM",
        {**BASE, **LINEAR, **EXPERTS, "shared_expert_intermediate_size": 64},
    ),
    "granitemoehybrid": (
        "GraniteMoeHybridForCausalLM",
        {
            **HEADLESS,
            **MAMBA2,
            "num_local_experts": 0,
            "shared_intermediate_size": 128,
            "layer_types": ["mamba", "mamba", "attention", "mamba", "mamba", "mamba"],
            "mamba_expand": 2,
        },
    ),
    "falcon_h1": ("FalconH1ForCausalLM", {**BASE, **MAMBA2, "mamba_d_ssm": 256}),
    "jamba": (
        "JambaForCausalLM",
        {
            **HEADLESS,
            "num_hidden_layers": 8,
            "attn_layer_period": 4,
            "attn_layer_offset": 2,
            "num_experts": 1,
            "num_experts_per_tok": 1,
            "mamba_d_state": 16,
        },
    ),
    "nemotron_h": (
        "NemotronHForCausalLM",
        {
            **BASE,
            "layers_block_type": ["mamba", "mlp", "attention", "mamba", "mlp", "mamba"],
            "mamba_num_heads": 8,
            "mamba_head_dim": 32,
            "ssm_state_size": 64,
            "n_groups": 2,
        },
    ),
    "mamba2": (
        "Mamba2ForCausalLM",
        {
            "vocab_size": 512,
            "hidden_size": 128,
            "num_hidden_layers": 4,
            "num_heads": 8,
            "head_dim": 32,
            "state_size": 64,
            "n_groups": 2,
        },
    ),
}


def saved(name: str, folder: Path) -> Path:
    """The model's config.json, as transformers writes it."""
    architecture, values = MODELS[name]
    config = CONFIG_MAPPING[name](**values)
    config.architectures, config.dtype = [architecture], "bfloat16"
    config.save_pretrained(folder / name)
    return folder / name


def planned(folder: Path, kept: str) -> dict[str, Any]:
    """What vLLM plans for a model on a card with 4 GiB for the cache."""
    torch.cpu._is_avx512_bf16_supported = lambda: False  # else this CPU's own type for states is taken
    base_loader.process_weights_after_loading = lambda *_, **__: None  # it calls compiled kernels
    config = EngineArgs(
        model=str(folder),
        load_format="dummy",
        enforce_eager=True,
        skip_tokenizer_init=True,
        max_num_seqs=8,
        max_num_batched_tokens=IN_FLIGHT,
        enable_prefix_caching=False,
        kv_cache_dtype=kept,
    ).create_engine_config()
    executor = UniProcExecutor(config)
    specs = executor.get_kv_cache_specs()[0]
    layouts = executor.get_supported_kv_cache_layouts()
    layout = resolve_kv_cache_layout(config, layouts, list(specs.values()))
    config.cache_config.kv_cache_layout = layout.name
    groups = kv_cache_planning.get_global_kv_cache_groups(config, [specs])
    plan = kv_cache_planning.get_kv_cache_configs(config, [specs], [AVAILABLE], groups)[0]
    return {
        "block_tokens": config.cache_config.block_size,
        "groups": [
            [len(g.layer_names), g.kv_cache_spec.block_size, g.kv_cache_spec.page_size_bytes]
            for g in plan.kv_cache_groups
        ],
        "kinds": [type(g.kv_cache_spec).__name__ for g in plan.kv_cache_groups],
        "layers": len(specs),
        "length": config.model_config.max_model_len,
        "memory": AVAILABLE,
        "num_blocks": plan.num_blocks,
        "requests": kv_cache_utils.get_max_concurrency_for_kv_cache_config(config, plan),
    }


def in_child(name: str, folder: Path, answer: Path) -> None:
    """Each model in a process of its own: vLLM sets up its groups of processes once."""
    if os.fork():
        os.wait()
        return
    plain, _, kept = name.partition("-")
    model = saved(plain, folder)
    found = {"config": json.loads((model / "config.json").read_text("utf-8"))}
    found |= {"kv_cache_dtype": kept} if kept else {}
    found["answer"] = planned(model, kept or "auto")
    answer.write_text(json.dumps(found), encoding="utf-8")
    os._exit(0)


def main() -> None:
    *names, answer = sys.argv[1:]
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            part = Path(temporary, f"{name}.json")
            in_child(name, Path(temporary), part)
            if part.is_file():
                found[name] = json.loads(part.read_text(encoding="utf-8"))
    Path(answer).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
