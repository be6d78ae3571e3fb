"""What of a GPU's memory vLLM can have, and what of that is for neither weights nor KV cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.runtime import attention
from winvllm_build.runtime.numbers import UnknownModelError, first
from winvllm_build.toolchain.gpu import DriverModel, Gpu

GIB: Final = 1 << 30
CONTEXT: Final = GIB // 2
"""CUDA's context and libraries, which lie outside vLLM's share (`gpu_memory_utilization` of the total)."""
WDDM_SHARE: Final = 0.08
"""What Windows withholds from one program on a GPU it draws with; beyond it memory moves to RAM unsaid and
the speed falls tenfold (AtomicBot-ai/atomic-llama-cpp-turboquant #77). Windows 10 withholds up to 15 %
(ollama #9167)."""
DESKTOP: Final = GIB // 2
"""What windows that open later take."""
BATCHED: Final = 2048
"""Tokens of a step in vLLM's server (`max_num_batched_tokens`) on most cards."""
LARGE: Final = 70 * GIB
BATCHED_LARGE: Final = 8192
"""The same from that much memory on (`EngineArgs.get_batch_defaults`), but for an A100. v0.33.0 gives a GB10
the smaller number; the larger is reckoned with, as older tags have it."""
LARGEST: Final = 160 * GIB
BATCHED_LARGEST: Final = 16384
"""The same in v0.33.0; older tags have fewer."""
STEPS: Final = 2
"""Two steps overlap by default."""
LOGIT_COPIES: Final = 10
"""Sampling holds so many copies of the logits in float32 at its peak: Llama-3-8B took 1.26 GiB for 256
requests (vllm #10511), which is 10.3 times 256 x 128256 x 4 bytes."""
GRAPHS: Final = 6 * GIB // 10
"""CUDA graphs of a model of one GPU."""
HIGHEST: Final = 0.92
"""vLLM's own default in v0.33.0; older tags have 0.9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """vLLM's share of a GPU.

    Attributes:
        utilization: the share of the total, in hundredths.
        size: the same in bytes.
        batched: tokens of a step.
        reason: how it comes about.
    """

    utilization: float
    size: int
    batched: int
    reason: str


def budget(gpu: Gpu) -> Budget:
    """What vLLM can ask for on this card as it is now."""
    kept, words = _kept(gpu)
    left = min(gpu.memory_free, gpu.memory_total - kept)
    busy = gpu.memory_total - gpu.memory_free
    if busy > kept:
        words.append(f"other programs have {_gib(busy)}")
    share = int(max(left - CONTEXT, 0) / gpu.memory_total * 100) / 100
    utilization = max(min(share, HIGHEST), 0.01)
    words.append(f"CUDA itself takes {_gib(CONTEXT)}")
    reason = f"{gpu.name}, {_gib(gpu.memory_total)}: {', '.join(words)}"
    return Budget(
        utilization=utilization,
        size=int(gpu.memory_total * utilization),
        batched=batched(gpu),
        reason=reason,
    )


def batched(gpu: Gpu) -> int:
    """Tokens of a step where nobody states their number."""
    if gpu.memory_total >= LARGEST:
        return BATCHED_LARGEST
    if gpu.memory_total >= LARGE and "a100" not in gpu.name.lower():
        return BATCHED_LARGE
    return BATCHED


def _kept(gpu: Gpu) -> tuple[int, list[str]]:
    """What the system keeps of a card, and in words why."""
    if gpu.model is not DriverModel.WDDM:
        return 0, []
    share = int(gpu.memory_total * WDDM_SHARE)
    if gpu.shows_display is False:
        return share, [f"Windows keeps {_gib(share)}"]
    return share + DESKTOP, [f"Windows and its desktop keep {_gib(share + DESKTOP)}"]


def step(config: Mapping[str, Any], *, requests: int, width: int, tokens: int) -> int:
    """Bytes at the peak of a step: the feed-forward part of its tokens, or the sampling of all requests."""
    try:
        hidden = attention.hidden(config)
    except UnknownModelError:
        return GIB
    inner = first(config, "intermediate_size", "ffn_hidden_size", "n_inner") or 4 * hidden
    feed = tokens * (3 * inner + 6 * hidden) * width
    sampling = requests * (first(config, "vocab_size") or 0) * 4 * LOGIT_COPIES
    return max(feed, sampling)


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB"
