"""How many weights a model has, counted from config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.runtime import attention
from winvllm_build.runtime.numbers import first, kind, number

BITS: Final = {"awq": 4, "gptq": 4, "bitsandbytes": 4, "mxfp4": 4, "modelopt_fp4": 4, "fp8": 8, "modelopt": 8}
"""Bits of a weight where the quantisation does not tell them itself."""
GROUP: Final = 128
"""Weights that share a scale, where it is not told."""
UNGATED: Final = frozenset({"gpt2", "gpt_neox", "opt", "falcon", "bloom", "phi", "starcoder2", "mpt", "gptj"})
"""Model types whose feed-forward part has two matrices, not three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Weights of a model: those a quantisation makes smaller, and those it leaves as they are."""

    quantised: int
    plain: int


def count(config: Mapping[str, Any]) -> Count:
    """The weights of a model of this configuration; biases and norms, less than a thousandth, are left out.

    Raises:
        UnknownModelError: config.json lacks a number.
    """
    layers, hidden = attention.depth(config), attention.hidden(config)
    table = number(config, "vocab_size") * hidden
    mixing = _plain(config) if config.get("kv_lora_rank") is None else _latent(config)
    dense = min(first(config, "first_k_dense_replace") or 0, layers) if _experts(config) else layers
    inner = first(config, "intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim") or 4 * hidden
    feed = _feed(config, hidden, inner) * dense + _mixture(config, hidden) * (layers - dense)
    tied = config.get("tie_word_embeddings", kind(config) in {"gemma", "gemma2", "gemma3_text"})
    return Count(quantised=mixing * layers + feed, plain=table if tied else 2 * table)


def bytes_per_weight(config: Mapping[str, Any], width: int) -> float:
    """Bytes of a weight of a layer, its share of a scale included."""
    table = config.get("quantization_config") or config.get("compression_config")
    if not isinstance(table, Mapping):
        return float(width)
    bits = first(table, "bits", "w_bit", "weight_bits") or _nested_bits(table)
    method = str(table.get("quant_method", "")).lower()
    if method == "bitsandbytes" and table.get("load_in_8bit"):
        bits = 8
    bits = bits or BITS.get(method) or width * 8
    group = first(table, "group_size", "q_group_size") or GROUP
    scale = 2 / group if bits < 8 else 0.0  # noqa: PLR2004 - smaller than a byte
    return bits / 8 + scale


def _nested_bits(table: Mapping[str, Any]) -> int | None:
    """compressed-tensors tells the bits of each group of layers."""
    groups = table.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        if isinstance(weights, Mapping):
            return first(weights, "num_bits")
    return None


def _plain(config: Mapping[str, Any]) -> int:
    layer, hidden = attention.full(config), attention.hidden(config)
    queries = attention.heads(config) * layer.key
    return hidden * (2 * queries + layer.heads * (layer.key + layer.value))


def _latent(config: Mapping[str, Any]) -> int:
    hidden, heads = attention.hidden(config), attention.heads(config)
    rank, rope = number(config, "kv_lora_rank"), number(config, "qk_rope_head_dim")
    nope, value = number(config, "qk_nope_head_dim"), number(config, "v_head_dim")
    query = first(config, "q_lora_rank")
    queries = query * (hidden + heads * (nope + rope)) if query else hidden * heads * (nope + rope)
    return queries + hidden * (rank + rope) + rank * heads * (nope + value) + heads * value * hidden


def _experts(config: Mapping[str, Any]) -> int | None:
    return first(config, "num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts")


def _feed(config: Mapping[str, Any], hidden: int, inner: int) -> int:
    return (2 if kind(config) in UNGATED else 3) * hidden * inner


def _mixture(config: Mapping[str, Any], hidden: int) -> int:
    experts = _experts(config) or 0
    inner = (
        first(config, "moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size") or 4 * hidden
    )
    shared = first(config, "shared_expert_intermediate_size") or inner * (
        first(config, "n_shared_experts") or 0
    )
    return experts * _feed(config, hidden, inner) + _feed(config, hidden, shared) + experts * hidden
