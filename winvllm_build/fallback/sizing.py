"""How much memory the engine may take for what it remembers of its requests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import psutil
import torch
from transformers import ContinuousBatchingConfig

from .errors import StartError

PAGE = 32
"""Tokens in one block of the cache."""
CPU_SHARE = 0.4
"""Of the free memory, where the model computes in it too."""
SPARE_BLOCKS = 8
"""Memory is dealt out in runs of blocks where layers differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What one token costs."""

    layers: int
    heads: int
    head_size: int
    value_bytes: int

    @property
    def token_bytes(self) -> int:
        return 2 * self.layers * self.heads * self.head_size * self.value_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The engine's fixed sizes; transformers' defaults take what they find and stall on a CPU."""

    blocks: int
    batch_tokens: int
    requests: int

    @property
    def tokens(self) -> int:
        return self.blocks * PAGE

    def configuration(self) -> ContinuousBatchingConfig:
        return ContinuousBatchingConfig(
            page_size=PAGE,
            num_blocks=self.blocks,
            max_batch_tokens=self.batch_tokens,
            max_requests_per_batch=self.requests,
            use_cuda_graph=False,  # our sampler is Python: it cannot be recorded
            use_async_batching=False,  # nor see tokens a step late
            auto_switch_to_flash=False,  # may fetch kernels from the network
            per_request_processors=False,
        )


def free_bytes(device: torch.device, share: float) -> int:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return max(0, int(free - (1 - share) * total))
    return int(psutil.virtual_memory().available * CPU_SHARE)


def room_for(needs: Needs, *, length: int, requests: int, batch_tokens: int, memory: int) -> Room:
    """Blocks for `requests` of `length` tokens, fewer where memory does not hold them.

    Raises:
        StartError: not even one request of that length fits.
    """
    wanted = requests * math.ceil(length / PAGE) + SPARE_BLOCKS
    least = math.ceil(length / PAGE) + SPARE_BLOCKS
    # beside the cache, attention has a mask of batch_tokens x everything cached
    block_bytes = PAGE * (needs.token_bytes + batch_tokens * needs.value_bytes)
    blocks = min(wanted, memory // block_bytes)
    if blocks < least:
        fits = max(PAGE, (memory // block_bytes - SPARE_BLOCKS) * PAGE)
        raise StartError(
            f"{length} tokens of context need {least * block_bytes / 2**30:.2f} GiB;"
            f" {memory / 2**30:.2f} GiB are free for it",
            fix=f"--max-model-len {fits}" if fits > PAGE else "free memory, or take a smaller model",
        )
    return Room(blocks=blocks, batch_tokens=batch_tokens, requests=min(requests, batch_tokens))
