"""The operators of vllm._C that a Qwen3 calls in eager mode, in PyTorch and for few tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def scheduler_metadata(*_: object, **__: object) -> Tensor:
    return torch.zeros(1, dtype=torch.int8)


def write_cache(key: Tensor, value: Tensor, keys: Tensor, values: Tensor, slots: Tensor, *_: object) -> None:
    """Caches are [block, head, position, size]; a negative slot is padding."""
    used = slots >= 0
    block, position = slots[used].long() // keys.shape[2], slots[used].long() % keys.shape[2]
    count = slots.shape[0]
    keys[block, :, position] = key[:count][used].to(keys.dtype)
    values[block, :, position] = value[:count][used].to(values.dtype)


def attention(  # noqa: PLR0917 - as the kernel is called
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    out: Tensor,
    starts: Tensor,
    lengths: Tensor,
    scale: float,
    causal: bool,  # noqa: FBT001 - the kernel's order
    alibi: Tensor | None,
    *rest: object,
) -> None:
    """Full attention over the paged cache; windows, caps and sinks do not occur in the model."""
    assert alibi is None
    assert causal
    tables = next(item for item in rest if isinstance(item, Tensor))
    heads = query.shape[1] // keys.shape[1]
    for sequence in range(lengths.shape[0]):
        begin, end = int(starts[sequence]), int(starts[sequence + 1])
        length = int(lengths[sequence])
        blocks = tables[sequence, : -(-length // keys.shape[2])].long()
        past = [_gathered(cache, blocks, length, heads) for cache in (keys, values)]
        scores = torch.einsum("qhd,hkd->hqk", query[begin:end].float(), past[0]) * scale
        seen = torch.arange(length)[None] <= torch.arange(length - (end - begin), length)[:, None]
        weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
        result = torch.einsum("hqk,hkd->qhd", weights, past[1])
        out[begin:end] = result.to(out.dtype).reshape(out[begin:end].shape)


def _gathered(cache: Tensor, blocks: Tensor, length: int, heads: int) -> Tensor:
    pages = cache[blocks].permute(1, 0, 2, 3)
    return pages.reshape(pages.shape[0], -1, pages.shape[3])[:, :length].float().repeat_interleave(heads, 0)


def rotary_embedding(  # noqa: PLR0917 - as the kernel is called
    positions: Tensor,
    query: Tensor,
    key: Tensor | None,
    size: int,
    table: Tensor,
    is_neox: bool,  # noqa: FBT001 - the kernel's order
    *_: object,
) -> None:
    assert is_neox
    cos, sin = (part[:, None].float() for part in table[positions.flatten()].chunk(2, -1))
    for tensor in (query, key):
        if tensor is None:
            continue
        view = tensor.view(positions.numel(), -1, size)
        first, second = view[..., : table.shape[-1]].float().chunk(2, -1)
        turned = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
        view[..., : table.shape[-1]] = turned.to(tensor.dtype)


def slot_mapping(
    starts: Tensor, positions: Tensor, tables: Tensor, slots: Tensor, size: int, *_: object
) -> None:
    slots.fill_(-1)
    for sequence in range(starts.shape[0] - 1):
        span = slice(int(starts[sequence]), int(starts[sequence + 1]))
        where = positions[span]
        blocks = tables[sequence][(where // size).long()].to(slots.dtype)
        slots[span] = blocks * size + (where % size).to(slots.dtype)


def silu_and_mul(out: Tensor, gate_up: Tensor) -> None:
    gate, up = gate_up.chunk(2, -1)
    out.copy_(functional.silu(gate) * up)


def rms_norm(out: Tensor, hidden: Tensor, weight: Tensor, epsilon: float) -> None:
    wide = hidden.float()
    out.copy_((wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)).to(hidden.dtype) * weight)


def fused_add_rms_norm(hidden: Tensor, residual: Tensor, weight: Tensor, epsilon: float) -> None:
    residual.add_(hidden)
    rms_norm(hidden, residual.clone(), weight, epsilon)


def greedy_argmax(logits: Tensor) -> Tensor:
    return logits.argmax(-1)


def gumbel_argmax(logits: Tensor, seeds: Tensor) -> Tensor:
    noise = torch.empty_like(logits)
    for row, seed in enumerate(seeds.tolist()):
        generator = torch.Generator().manual_seed(seed & (2**63 - 1))
        noise[row] = -torch.empty_like(logits[row]).exponential_(generator=generator).log()
    return (logits + noise).argmax(-1)


def no_threads(*_: object) -> str:
    return ""


def never(*_: object) -> bool:
    return False


OPERATORS: dict[str, Callable[..., object]] = {
    "compute_slot_mapping_kernel_impl": slot_mapping,
    "cpu_attention_with_kv_cache": attention,
    "cpu_attn_has_isa": never,
    "cpu_attn_reshape_and_cache": write_cache,
    "fused_add_rms_norm": fused_add_rms_norm,
    "fused_gumbel_argmax": gumbel_argmax,
    "get_scheduler_metadata": scheduler_metadata,
    "greedy_argmax": greedy_argmax,
    "init_cpu_memory_env": no_threads,
    "init_cpu_threads_env": no_threads,
    "rms_norm": rms_norm,
    "rotary_embedding": rotary_embedding,
    "silu_and_mul": silu_and_mul,
}


def register() -> None:
    """Names without schemas: the same on every PyTorch and every tag."""
    if not hasattr(torch._C._cpu, "_is_amx_tile_supported"):
        torch._C._cpu._is_amx_tile_supported = never
    for name, operator in OPERATORS.items():
        if not hasattr(torch.ops._C, name):
            setattr(torch.ops._C, name, operator)
