"""What each layer of a model keeps for the tokens it has seen, read from config.json as vLLM reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.runtime import states
from winvllm_build.runtime.numbers import UnknownModelError, first, kind, number
from winvllm_build.runtime.states import State

LATENT: Final = frozenset(
    {
        "axk1", "bailing_hybrid", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite",
        "glm_moe_dsa", "kimi_k2", "kimi_linear", "longcat_flash", "pangu_ultra_moe",
    }
)  # fmt: skip
"""Model types whose keys and values vLLM keeps as one latent vector (MLA), if they have a `kv_lora_rank`."""
UNFOLDED: Final = frozenset({"minicpm3"})
"""Model types with a `kv_lora_rank` that vLLM computes as usual attention, the values as wide as the keys."""
NOT_COMPUTED: Final = frozenset({"deepseek_v4", "deepseek_v41", "gemma3n_text", "minimax", "minimax_text_01"})
"""Model types with caches of a kind of their own."""
ALTERNATING: Final = {"gemma2": 2, "gpt_oss": 2, "cohere2": 4, "gemma3_text": 6, "gemma3": 6}
"""Where config.json has no `layer_types`: each n-th layer sees everything, the others a window."""
INDEX_SCALES: Final = 4
"""Bytes of the scale that DeepSeek's sparse attention keeps for each 128 values of its index."""
INDEX_GROUP: Final = 128
DEEPEST: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """A layer that keeps something for each token.

    Attributes:
        heads: of keys and values.
        key: values of a key.
        value: values of a value; 0 where one latent vector holds both.
        window: tokens it looks back on, None for all.
        chunk: tokens of a block beyond which it does not look, None for none.
        raw: bytes a token takes whatever the type, instead of heads, key and value.
    """

    heads: int
    key: int
    value: int
    window: int | None = None
    chunk: int | None = None
    raw: int | None = None

    def bytes_per_token(self, width: int) -> int:
        """Bytes for one token, with values of that many bytes."""
        return self.raw if self.raw is not None else self.heads * (self.key + self.value) * width


Layer = Attention | State


def layers(config: Mapping[str, Any]) -> tuple[Layer, ...]:
    """The caches of a model's layers in their order; layers that keep nothing are left out.

    Args:
        config: the text model's part of config.json.

    Raises:
        UnknownModelError: the caches cannot be told from config.json.
    """
    if kind(config) in NOT_COMPUTED:
        raise UnknownModelError(f"models of the type {kind(config)} keep caches of a kind of their own")
    found: list[Layer] = []
    own = config.get("per_layer_config")
    own = own if isinstance(own, Mapping) else {}
    for index, name in enumerate(_names(config)):
        changed = own.get(str(index), {})
        if not isinstance(changed, Mapping):
            raise UnknownModelError(f"per_layer_config of layer {index} is no table")
        found.extend(_layer({**config, **changed}, name, index))
    return tuple(found)


def depth(config: Mapping[str, Any]) -> int:
    """Number of layers."""
    listed = config.get("layers_block_type")
    if "num_hidden_layers" not in config and isinstance(listed, list):
        return len(listed)
    found = number(config, "num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if found > DEEPEST:
        raise UnknownModelError(f"{found} layers are more than any model has")
    return found


def heads(config: Mapping[str, Any]) -> int:
    """Number of query heads."""
    return number(config, "num_attention_heads", "n_head", "n_heads", "num_heads")


def hidden(config: Mapping[str, Any]) -> int:
    """Values of a token between layers."""
    return number(config, "hidden_size", "n_embd", "d_model")


def is_latent(config: Mapping[str, Any]) -> bool:
    return kind(config) in LATENT and config.get("kv_lora_rank") is not None


def full(config: Mapping[str, Any]) -> Attention:
    """A layer that looks at every token."""
    if is_latent(config):
        key = number(config, "kv_lora_rank") + number(config, "qk_rope_head_dim")
        return Attention(heads=1, key=key, value=0)
    wide = first(config, "global_head_dim")
    if wide is not None:  # Gemma 4: larger heads where no window is
        return Attention(
            heads=first(config, "num_global_key_value_heads") or _kv_heads(config), key=wide, value=wide
        )
    return _usual(config)


def _usual(config: Mapping[str, Any]) -> Attention:
    if config.get("kv_lora_rank") is not None:
        return _unfolded(config)
    size = first(config, "head_dim", "hidden_size_per_head", "attention_head_dim")
    size = size or hidden(config) // heads(config)
    return Attention(heads=_kv_heads(config), key=size, value=size)


def _unfolded(config: Mapping[str, Any]) -> Attention:
    """Latent attention whose keys and values are kept as they come out of it, one for each head."""
    if kind(config) not in UNFOLDED:
        raise UnknownModelError(f"models of the type {kind(config)} have a latent attention of their own")
    size = number(config, "qk_nope_head_dim") + number(config, "qk_rope_head_dim")
    return Attention(heads=heads(config), key=size, value=size)


def _kv_heads(config: Mapping[str, Any]) -> int:
    if config.get("multi_query") and not config.get("new_decoder_architecture"):
        return first(config, "multi_query_group_num") or 1
    named = first(config, "num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
    return named or heads(config)


def _names(config: Mapping[str, Any]) -> Sequence[str]:
    """What kind each layer is, in the words of config.json."""
    count = depth(config)
    shared = first(config, "num_kv_shared_layers") or 0
    for key in ("layer_types", "layers_block_type"):
        written = config.get(key)
        if isinstance(written, list) and len(written) >= count:
            return [str(name) for name in written[: count - shared]]
    derived = states.kinds(config, count)
    if derived is not None:
        return derived
    return _windows(config, count)


def _windows(config: Mapping[str, Any], count: int) -> Sequence[str]:
    """The layers of a model without states, where config.json does not list them."""
    if first(config, "attention_chunk_size") and kind(config).startswith("llama4"):
        listed = config.get("no_rope_layers")
        rope = listed if isinstance(listed, list) and len(listed) >= count else None
        near = [rope[index] if rope else (index + 1) % 4 != 0 for index in range(count)]
        return ["chunked_attention" if chunked else "full_attention" for chunked in near]
    pattern = first(config, "sliding_window_pattern", "_sliding_window_pattern") or ALTERNATING.get(
        kind(config)
    )
    if pattern and _window(config):
        return ["sliding_attention" if (index + 1) % pattern else "full_attention" for index in range(count)]
    if config.get("use_sliding_window") is False or not _window(config):
        return ["full_attention"] * count
    if first(config, "max_window_layers"):
        return ["full_attention"] * count  # the first layers see everything, and vLLM then refuses a window
    return ["sliding_attention"] * count


def _window(config: Mapping[str, Any]) -> int | None:
    return first(config, "sliding_window")


def _layer(config: Mapping[str, Any], name: str, index: int) -> Iterator[Layer]:
    match name:
        case "attention" | "full_attention" | "hybrid" | "attention+mamba":
            yield full(config)
            yield from _index_cache(config)
            if name in {"hybrid", "attention+mamba"}:
                yield states.state(config)
        case "sliding_attention" | "sliding_window":
            yield dataclasses.replace(_usual(config), window=_window(config))
        case "chunked_attention":
            yield dataclasses.replace(_usual(config), chunk=number(config, "attention_chunk_size"))
        case "mamba" | "mamba2" | "linear_attention" | "conv" | "recurrent":
            yield states.state(config)
        case "mlp" | "moe" | "-" | "E":
            return
        case _:
            raise UnknownModelError(f"layer {index} is of the kind {name}, which this tool does not know")


def _index_cache(config: Mapping[str, Any]) -> Iterator[Layer]:
    """DeepSeek's sparse attention keeps, beside the latent vector, what it searches in."""
    if is_latent(config) and config.get("index_topk") is not None:
        size = number(config, "index_head_dim")
        yield Attention(heads=1, key=size, value=0, raw=size + size // INDEX_GROUP * INDEX_SCALES)
