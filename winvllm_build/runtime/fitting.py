"""What a model leaves of vLLM's share of a GPU, and how long and how many requests that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winvllm_build.runtime import attention, budget, pool, weights
from winvllm_build.runtime.attention import Attention, Layer
from winvllm_build.runtime.budget import GIB, STEPS, Budget
from winvllm_build.runtime.modelfiles import Model
from winvllm_build.runtime.numbers import UnknownModelError, first
from winvllm_build.runtime.pool import Pool, Widths
from winvllm_build.runtime.weights import Weights

LIMITS: Final = (
    "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length",
    "max_sequence_length", "max_seq_length", "seq_len",
)  # fmt: skip
STEP: Final = 256
"""Lengths are rounded down to a multiple of it, unless the model's own limit is reached."""
COUNTS: Final = (256, 128, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
TYPICAL: Final = 4
"""Most requests are shorter than the longest by this factor or more."""
SHORTEST: Final = 512
FEW: Final = 8
"""Requests whose sampling is reckoned with when the length is chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What can be given up for room: CUDA graphs, and the full type of keys and values."""

    eager: bool
    fp8: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A model on a card.

    Attributes:
        layers: what its layers keep.
        width: bytes of a value that is computed with.
        weights: memory of the weights.
        limit: tokens of the longest request the model allows.
        share: what vLLM can have.
    """

    model: Model
    layers: tuple[Layer, ...]
    width: int
    weights: Weights
    limit: int
    share: Budget

    @classmethod
    def of(cls, model: Model, width: int, share: Budget) -> Wanted:
        """What a model wants.

        Raises:
            UnknownModelError: its files do not tell.
        """
        allowed = limit(model)
        if allowed is None:
            raise UnknownModelError("config.json names no longest request (max_position_embeddings)")
        return cls(
            model=model,
            layers=attention.layers(model.text),
            width=width,
            weights=weights.read(model, width),
            limit=allowed,
            share=share,
        )

    def pool(self, plan: Plan) -> Pool:
        """The KV cache of a plan."""
        widths = Widths(attention=1 if plan.fp8 else self.width, state=self.width)
        return pool.pool(self.layers, widths=widths, in_flight=STEPS * self.share.batched, state_blocks=2)

    def step(self, requests: int) -> int:
        """Bytes at the peak of a step."""
        return budget.step(self.model.text, requests=requests, width=self.width, tokens=self.share.batched)

    def left(self, plan: Plan, requests: int) -> int:
        """Bytes left for the KV cache; negative where weights and steps alone are too much."""
        peak = self.step(requests)
        graphs = 0 if plan.eager else budget.GRAPHS
        return self.share.size - self.weights.size - peak - graphs


def limit(model: Model) -> int | None:
    """Tokens of the longest request that a model allows; None where its config.json does not tell."""
    return min((found for name in LIMITS if (found := first(model.text, name)) is not None), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How much of it fits: tokens of the longest request, requests at a time, bytes of the KV cache."""

    plan: Plan
    length: int
    requests: int
    cache: int
    together: int


def fit(wanted: Wanted, plan: Plan, *, together: int, target: int) -> Fit:
    """The longest requests of which `together` fit, or one if that is all, and how many shorter ones.

    Args:
        wanted: the model on the card.
        plan: what is given up for room.
        together: how many of the longest requests should fit.
        target: tokens that are worth giving that up for.
    """
    cache = wanted.pool(plan)
    length, count = 0, together
    for count in dict.fromkeys((together, 1)):
        free = max(wanted.left(plan, FEW), 0)
        length = _rounded(cache.longest(free, wanted.limit, together=count), wanted.limit)
        if length >= target:
            break
    if not length:
        return Fit(plan=plan, length=0, requests=0, cache=max(wanted.left(plan, 1), 0), together=1)
    for requests in COUNTS:
        free = max(wanted.left(plan, requests), 0)
        typical = min(max(length // TYPICAL, SHORTEST), length)
        longest = cache.longest(free, length, together=count)
        if longest >= length and cache.requests(free, typical) >= requests:
            return Fit(plan=plan, length=length, requests=requests, cache=free, together=count)
    return Fit(plan=plan, length=length, requests=1, cache=wanted.left(plan, 1), together=count)


def _rounded(length: int, limit: int) -> int:
    return length if length in {0, limit} or length < STEP else length // STEP * STEP


def length_reason(wanted: Wanted, found: Fit) -> str:
    """Why a request may be so long."""
    pieces = [
        f"weights {_gib(wanted.weights.size)} ({wanted.weights.source})",
        f"KV cache {_per_token(wanted, found.plan)}",
        f"{_gib(found.cache)} left for it",
    ]
    if found.length == wanted.limit:
        return f"all that the model allows; {', '.join(pieces)}"
    enough = "holds one such request" if found.together == 1 else f"holds {found.together} such requests"
    return f"{', '.join(pieces)}, which {enough}; the model allows {wanted.limit}"


def requests_reason(wanted: Wanted, found: Fit) -> str:
    """Why so many requests at a time."""
    typical = min(max(found.length // TYPICAL, SHORTEST), found.length)
    peak = wanted.step(found.requests)
    return f"so many of {typical} tokens fit; a step takes {_gib(peak)} at its peak"


def left_out(wanted: Wanted) -> tuple[str, ...]:
    """What the figures do not have."""
    if not wanted.model.senses:
        return ()
    what = f"{' and '.join(wanted.model.senses)} of {wanted.model.name}"
    advice = "--limit-mm-per-prompt or less gpu_memory_utilization if vLLM runs out of memory"
    return (f"the memory that {what} take while they work is not reckoned with: {advice}",)


def does_not_fit(wanted: Wanted, found: Fit) -> str:
    """What to do about a model that is too large."""
    peak = wanted.step(1)
    need = wanted.weights.size + peak + wanted.pool(found.plan).request_bytes(SHORTEST)
    return (
        f"{wanted.model.name} does not fit: weights {_gib(wanted.weights.size)}, a step {_gib(peak)} and the "
        f"cache need {_gib(need)}, vLLM can have {_gib(wanted.share.size)}; take one quantised to fewer bits"
    )


def _per_token(wanted: Wanted, plan: Plan) -> str:
    """`28.0 KiB a token (28 layers)`; layers with a window or a state are named apart."""
    width = 1 if plan.fp8 else wanted.width
    whole = [
        one for one in wanted.layers if isinstance(one, Attention) and one.window is None and not one.chunk
    ]
    near = sum(1 for one in wanted.layers if isinstance(one, Attention)) - len(whole)
    parts = [f"{len(whole)} layers"] if whole else []
    if near:
        parts.append(f"{near} with a window")
    if len(wanted.layers) > len(whole) + near:
        parts.append(f"{len(wanted.layers) - len(whole) - near} with a state")
    return f"{sum(one.bytes_per_token(width) for one in whole) / 1024:.1f} KiB a token ({', '.join(parts)})"


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB"
