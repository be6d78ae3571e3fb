"""How vLLM is started on one GPU: by the card alone, or by what a model leaves of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from winvllm_build import arch
from winvllm_build.choices import KvCacheType, ModelType
from winvllm_build.runtime import budget, fitting
from winvllm_build.runtime.budget import GIB, Budget
from winvllm_build.runtime.fitting import Fit, Plan
from winvllm_build.runtime.host import Host
from winvllm_build.runtime.modelfiles import Model
from winvllm_build.runtime.numbers import UnknownModelError, kind
from winvllm_build.runtime.setting import Setting
from winvllm_build.toolchain.gpu import Gpu

AMPERE: Final = "8.0"
"""The first capability with bfloat16."""
ADA: Final = "8.9"
"""The first on which Triton's kernels read FP8."""
NO_FLOAT16: Final = frozenset({"gemma2", "gemma3", "gemma3_text", "glm4"})
"""Model types that vLLM refuses in float16, whose range their values leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSettings:
    """The values of `[runtime]`.

    Attributes:
        notes: what a user has to know besides, such as that a model does not fit.
        fits: whether the model fits; None where none was given or its memory could not be computed.
    """

    gpu_memory_utilization: Setting[float]
    max_model_len: Setting[int]
    max_num_seqs: Setting[int]
    dtype: Setting[ModelType]
    enforce_eager: Setting[bool]
    kv_cache_dtype: Setting[KvCacheType]
    notes: tuple[str, ...] = ()
    fits: bool | None = None

    def table(self) -> dict[str, Setting[object]]:
        """The values by the key of a profile."""
        return {
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "max_model_len": self.max_model_len,
            "max_num_seqs": self.max_num_seqs,
            "dtype": Setting(value=self.dtype.value.value, reason=self.dtype.reason),
            "enforce_eager": self.enforce_eager,
            "kv_cache_dtype": Setting(
                value=self.kv_cache_dtype.value.value, reason=self.kv_cache_dtype.reason
            ),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What a card of a size is good for, whatever the model."""

    name: str
    length: int
    requests: int
    together: int


def tier(gpu: Gpu) -> Tier:
    """The three sizes of cards; a card sold as 12 or 24 GB has a little less."""
    memory = gpu.memory_total / GIB
    if memory < 11.5:  # noqa: PLR2004 - the sizes that cards are sold in
        return Tier(name="less than 12 GiB", length=2048, requests=4, together=1)
    if memory < 23:  # noqa: PLR2004 - the sizes that cards are sold in
        return Tier(name="12 to 24 GiB", length=4096, requests=12, together=2)
    return Tier(name="24 GiB and more", length=8192, requests=32, together=4)


def choose(gpu: Gpu, host: Host, model: Model | None, *, triton: bool = True) -> RuntimeSettings:
    """The settings for a card, and for a model if there is one.

    Args:
        gpu: the card, the smallest of several.
        host: the machine.
        model: the model's files.
        triton: whether the tag's vLLM has Triton on this system: on Windows from v0.19 on.
    """
    share, dtype = budget.budget(gpu), _dtype(gpu, model)
    eager = _must_be_eager(gpu, host, triton=triton)
    if model is None:
        return _by_tier(gpu, share, dtype, eager)
    try:
        wanted = fitting.Wanted.of(model, _width(dtype), share)
        return _by_model(gpu, wanted, share, dtype, eager, fp8=triton and _has_fp8(gpu))
    except UnknownModelError as error:
        note = f"the memory of {model.name} is not computed: {error}"
        return dataclasses.replace(_by_tier(gpu, share, dtype, eager, fitting.limit(model)), notes=(note,))


def _by_tier(
    gpu: Gpu,
    share: Budget,
    dtype: Setting[ModelType],
    eager: Setting[bool] | None,
    limit: int | None = None,
) -> RuntimeSettings:
    """The settings of a card's size; `limit` is the longest request that the model allows, if it tells."""
    size = tier(gpu)
    reason = f"for cards of {size.name}, whatever the model; what fits one is computed with --model"
    length = Setting(value=size.length, reason=reason)
    if limit is not None and limit < size.length:
        length = Setting(value=limit, reason="all that the model allows, which vLLM refuses to exceed")
    return RuntimeSettings(
        gpu_memory_utilization=_utilization(share),
        max_model_len=length,
        max_num_seqs=Setting(value=size.requests, reason=reason),
        dtype=dtype,
        enforce_eager=eager or Setting(value=False, reason="CUDA graphs and torch.compile make it faster"),
        kv_cache_dtype=Setting(value=KvCacheType.AUTO, reason="the type that is computed with"),
    )


def _by_model(
    gpu: Gpu,
    wanted: fitting.Wanted,
    share: Budget,
    dtype: Setting[ModelType],
    eager: Setting[bool] | None,
    *,
    fp8: bool,
) -> RuntimeSettings:
    size = tier(gpu)
    target = min(size.length, wanted.limit)
    plans = [Plan(eager=True, fp8=False)] if eager else [Plan(eager=False, fp8=False)]
    plans += [Plan(eager=True, fp8=False)] if not eager else []
    plans += [Plan(eager=True, fp8=True)] if fp8 else []
    fits = [fitting.fit(wanted, plan, together=size.together, target=target) for plan in plans]
    best = next((f for f in fits if f.length >= target), max(fits, key=lambda f: f.length))
    if not best.length:
        plain = _by_tier(gpu, share, dtype, eager, wanted.limit)
        return dataclasses.replace(plain, fits=False, notes=(fitting.does_not_fit(wanted, best),))
    return RuntimeSettings(
        gpu_memory_utilization=_utilization(share),
        max_model_len=Setting(value=best.length, reason=fitting.length_reason(wanted, best)),
        max_num_seqs=Setting(value=best.requests, reason=fitting.requests_reason(wanted, best)),
        dtype=dtype,
        enforce_eager=eager or _eager(best, target),
        kv_cache_dtype=_kv_cache(best, target, fp8=fp8),
        notes=fitting.left_out(wanted),
        fits=True,
    )


def _utilization(share: Budget) -> Setting[float]:
    return Setting(value=share.utilization, reason=share.reason)


def _dtype(gpu: Gpu, model: Model | None) -> Setting[ModelType]:
    if arch.order(gpu.capability) >= arch.order(AMPERE):
        return Setting(value=ModelType.AUTO, reason=f"the model's own; {gpu.capability} has bfloat16")
    family = "" if model is None else kind(model.text)
    if family in NO_FLOAT16:
        reason = f"{gpu.capability} has no bfloat16, and vLLM refuses {family} in float16; twice the memory"
        return Setting(value=ModelType.FLOAT32, reason=reason)
    return Setting(value=ModelType.FLOAT16, reason=f"{gpu.capability} has no bfloat16")


def _width(dtype: Setting[ModelType]) -> int:
    """Bytes of a value; a model of float32 is computed in half of it unless that is asked for."""
    return 4 if dtype.value is ModelType.FLOAT32 else 2


def _must_be_eager(gpu: Gpu, host: Host, *, triton: bool) -> Setting[bool] | None:
    if host.windows and not triton:
        return Setting(value=True, reason="this tag has no Triton on Windows, and torch.compile needs it")
    if arch.order(gpu.capability) < arch.order(AMPERE):
        reason = (
            f"on {gpu.capability} compiled kernels ask for more shared memory than a block has (64 KiB)"
            " and hung at the first step"
        )
        return Setting(value=True, reason=reason)
    return None


def _has_fp8(gpu: Gpu) -> bool:
    return arch.order(gpu.capability) >= arch.order(ADA)


def _eager(best: Fit, target: int) -> Setting[bool]:
    saved = f"{budget.GRAPHS / GIB:.1f} GiB"
    if best.plan.eager:
        return Setting(value=True, reason=f"without CUDA graphs {saved} more are left for {target} tokens")
    return Setting(value=False, reason=f"the {saved} of CUDA graphs are there, and they make it faster")


def _kv_cache(best: Fit, target: int, *, fp8: bool) -> Setting[KvCacheType]:
    if best.plan.fp8:
        return Setting(value=KvCacheType.FP8, reason=f"in half the memory, else {target} tokens do not fit")
    reason = "the type that is computed with; it fits" if fp8 else "the type that is computed with"
    return Setting(value=KvCacheType.AUTO, reason=reason)
