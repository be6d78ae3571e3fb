"""Layers that keep one state for a request, however long: Mamba, gated delta nets, short convolutions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.runtime.numbers import UnknownModelError, first, kind, number

FLOAT32: Final = 4
WIDTHS: Final = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What such a layer keeps for a request.

    Attributes:
        convolution: values of the last inputs, in the type that is computed with.
        recurrent: values of the state.
        width: bytes of a value of the state; None for the type that is computed with.
    """

    convolution: int
    recurrent: int
    width: int | None = None

    def size(self, width: int) -> int:
        """Bytes, with values of that many bytes where the layer has no type of its own."""
        return self.convolution * width + self.recurrent * (self.width or width)


def kinds(config: Mapping[str, Any], count: int) -> Sequence[str] | None:
    """What kind each layer is, where config.json tells it by numbers; None where it is no such model."""
    if kind(config) == "falcon_h1":
        return ["hybrid"] * count
    if kind(config) in {"mamba", "mamba2", "falcon_mamba"}:
        return ["mamba"] * count
    if isinstance(config.get("hybrid_override_pattern"), str):
        names = {"M": "mamba", "*": "attention"}
        return [names.get(letter, "mlp") for letter in str(config["hybrid_override_pattern"])]
    whole = _attention_layers(config, count)
    return None if whole is None else ["attention" if i in whole else "mamba" for i in range(count)]


def _attention_layers(config: Mapping[str, Any], count: int) -> frozenset[int] | None:
    """Which layers have attention, the others having states; None where no number tells it."""
    linear = config.get("linear_attn_config")
    if isinstance(linear, Mapping):
        return frozenset(one - 1 for one in _listed(linear, "full_attn_layers"))
    if "linear_num_value_heads" in config:
        every = first(config, "full_attention_interval") or 4
        return frozenset(range(every - 1, count, every))
    if "attn_layer_period" in config:
        period, offset = number(config, "attn_layer_period"), first(config, "attn_layer_offset") or 0
        return frozenset(range(offset, count, period))
    return frozenset(_listed(config, "attn_layer_indices")) if "attn_layer_indices" in config else None


def _listed(config: Mapping[str, Any], name: str) -> list[int]:
    found = config.get(name)
    return [one for one in found if isinstance(one, int)] if isinstance(found, list) else []


def state(config: Mapping[str, Any]) -> State:
    """The state of one layer.

    Raises:
        UnknownModelError: config.json has none of the numbers that these layers have.
    """
    if "linear_num_value_heads" in config:
        return _gated_delta_net(config)
    if isinstance(config.get("linear_attn_config"), Mapping):
        return _kimi(config["linear_attn_config"])
    if "conv_L_cache" in config:
        width = first(config, "conv_dim") or number(config, "hidden_size")
        return State(convolution=width * (number(config, "conv_L_cache") - 1), recurrent=0)
    if first(config, "mamba_n_heads", "n_mamba_heads", "mamba_num_heads"):
        return _mamba2(config)
    if "mamba_d_state" in config or kind(config) in {"mamba", "falcon_mamba"}:
        return _mamba1(config)
    if kind(config) == "mamba2":
        return _mamba2(config)
    raise UnknownModelError("config.json does not tell the size of its layers' states")


def _gated_delta_net(config: Mapping[str, Any]) -> State:
    keys = number(config, "linear_num_key_heads") * number(config, "linear_key_head_dim")
    value_heads, value = number(config, "linear_num_value_heads"), number(config, "linear_value_head_dim")
    kernel = number(config, "linear_conv_kernel_dim")
    return State(
        convolution=(2 * keys + value_heads * value) * (kernel - 1),
        recurrent=value_heads * value * number(config, "linear_key_head_dim"),
        width=WIDTHS.get(str(config.get("mamba_ssm_dtype"))) if _is_qwen3_5(config) else None,
    )


def _is_qwen3_5(config: Mapping[str, Any]) -> bool:
    """Of the gated delta nets only these are told the type of the state by config.json."""
    return kind(config).startswith("qwen3_5")


def _kimi(table: Mapping[str, Any]) -> State:
    count, size = number(table, "num_heads"), number(table, "head_dim")
    kernel = first(table, "short_conv_kernel_size") or 4
    return State(convolution=3 * count * size * (kernel - 1), recurrent=count * size * size, width=FLOAT32)


def _mamba1(config: Mapping[str, Any]) -> State:
    inner = first(config, "intermediate_size") if "mamba_expand" not in config else None
    inner = inner or number(config, "mamba_expand") * number(config, "hidden_size")
    kernel = number(config, "mamba_d_conv", "conv_kernel")
    return State(
        convolution=inner * (kernel - 1), recurrent=inner * number(config, "mamba_d_state", "state_size")
    )


def _mamba2(config: Mapping[str, Any]) -> State:
    count = number(config, "mamba_n_heads", "n_mamba_heads", "mamba_num_heads", "num_heads")
    size = number(config, "mamba_d_head", "mamba_headdim", "mamba_head_dim", "head_dim")
    values = number(config, "mamba_d_state", "ssm_state_size", "state_size")
    groups = number(config, "mamba_n_groups", "mamba_ngroups", "n_groups")
    kernel = number(config, "mamba_d_conv", "conv_kernel")
    nemotron = kind(config) == "nemotron_h"
    width = WIDTHS.get(str(config.get("mamba_ssm_cache_dtype", "float32"))) if nemotron else None
    inner = first(config, "mamba_d_ssm") or count * size
    return State(
        convolution=(inner + 2 * groups * values) * (kernel - 1), recurrent=count * size * values, width=width
    )
