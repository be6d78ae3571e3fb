"""How one request's tokens are drawn from the model's scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

LOWEST_TEMPERATURE = 0.01
"""Upstream draws at no lower one; below GREEDY it takes the best token."""
HIGHEST_TEMPERATURE = 1e6
"""All tokens are alike there; infinity would make no number of a token that is barred."""
HIGHEST_SCORE = 1e30
GREEDY = 1e-5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """What a request asked for."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    presence: float = 0.0
    frequency: float = 0.0
    repetition: float = 1.0
    bias: Mapping[int, float] = field(default_factory=dict)
    allowed: tuple[int, ...] = ()
    at_least: int = 0
    ends: frozenset[int] = frozenset()
    """Tokens that end an answer, even if not this one; none is drawn before `at_least` others."""
    logprobs: int | None = None
    """How many of the best tokens are told beside the drawn one."""

    @property
    def greedy(self) -> bool:
        return self.temperature < GREEDY

    @property
    def penalised(self) -> bool:
        return bool(self.presence or self.frequency) or self.repetition != 1.0

    @property
    def plain(self) -> bool:
        """The best token of the scores as they are."""
        return self.greedy and not (
            self.penalised or self.bias or self.allowed or self.at_least or self.logprobs is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprobs:
    """The drawn token's logarithm of probability, and those of the best ones."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


class Draw:
    """The state of one answer: its random numbers, and what it said so far."""

    def __init__(
        self, sampling: Sampling, prompt: list[int], *, device: torch.device, vocabulary: int
    ) -> None:
        self.sampling = sampling
        self.logprobs: list[TokenLogprobs] = []
        self.drawn = 0
        self.generator: torch.Generator | None = None
        if sampling.seed is not None and not sampling.greedy:
            self.generator = torch.Generator(device=device)
            self.generator.manual_seed(sampling.seed)
        self._prompt = prompt
        self._device = device
        self._vocabulary = vocabulary
        self._said: torch.Tensor | None = None
        self._prompted: torch.Tensor | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Draw:
        """The engine copies a request that it evicts; the answer goes on with the same state."""
        return self

    def adjusted(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores of shape (vocabulary,) after everything but temperature and cuts."""
        wanted = self.sampling
        scores = scores.clone()
        if wanted.allowed:
            kept = torch.tensor(wanted.allowed, device=scores.device)
            mask = torch.full_like(scores, float("-inf"))
            mask[kept] = scores[kept]
            scores = mask
        if wanted.bias:
            places = torch.tensor(list(wanted.bias), device=scores.device)
            scores[places] += torch.tensor(
                list(wanted.bias.values()), device=scores.device, dtype=scores.dtype
            )
        if self.drawn < wanted.at_least and wanted.ends:
            scores[torch.tensor(sorted(wanted.ends), device=scores.device)] = float("-inf")
        return self._penalised(scores) if wanted.penalised else scores

    def _begin(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What was said and what was asked; megabytes, taken when it is this answer's turn."""
        if self._said is None or self._prompted is None:
            self._said = torch.zeros(self._vocabulary, device=self._device)
            self._prompted = torch.zeros(self._vocabulary, dtype=torch.bool, device=self._device)
            self._prompted[torch.tensor(self._prompt, device=self._device)] = True
        return self._said, self._prompted

    def _penalised(self, scores: torch.Tensor) -> torch.Tensor:
        said, prompted = self._begin()
        wanted = self.sampling
        seen = prompted | (said > 0)
        repeated = torch.where(scores > 0, scores / wanted.repetition, scores * wanted.repetition)
        scores = torch.where(seen, repeated, scores)
        # a repetition penalty near 0 makes infinities, and no number of what is barred
        scores = scores.nan_to_num(nan=float("-inf"), posinf=HIGHEST_SCORE, neginf=float("-inf"))
        return scores - wanted.frequency * said - wanted.presence * (said > 0)

    def accept(self, token: int, logprobs: torch.Tensor | None) -> None:
        """Note the drawn token; `logprobs` are those of the model itself, of shape (vocabulary,)."""
        self.drawn += 1
        if self._said is not None:
            self._said[token] += 1
        if logprobs is None or self.sampling.logprobs is None:
            return
        best: list[tuple[int, float]] = []
        if self.sampling.logprobs:
            values, tokens = logprobs.topk(self.sampling.logprobs)
            best = list(zip(tokens.tolist(), values.tolist(), strict=True))
        found = TokenLogprobs(token=token, logprob=float(logprobs[token]), top=tuple(best))
        self.logprobs.append(found)


def draw_all(scores: torch.Tensor, draws: list[Draw]) -> torch.Tensor:
    """The next token of each answer, from scores of shape (answers, vocabulary).

    Changes the answers' states.
    """
    tokens = scores.argmax(dim=-1)
    if all(draw.sampling.plain for draw in draws):
        for draw in draws:
            draw.drawn += 1
        return tokens
    own = [index for index, draw in enumerate(draws) if not draw.sampling.plain]
    changed = torch.stack([draws[index].adjusted(scores[index]) for index in own])
    tokens[own] = changed.argmax(dim=-1)
    warm = [place for place, index in enumerate(own) if not draws[index].sampling.greedy]
    if warm:
        sampled = _sample(changed[warm], [draws[own[place]] for place in warm])
        tokens[[own[place] for place in warm]] = sampled
    for index, (draw, token) in enumerate(zip(draws, tokens.tolist(), strict=True)):
        told = draw.sampling.logprobs is not None
        draw.accept(token, scores[index].log_softmax(dim=-1) if told else None)
    return tokens


def _sample(scores: torch.Tensor, draws: list[Draw]) -> torch.Tensor:
    wanted = [draw.sampling for draw in draws]
    heats = [min(max(each.temperature, LOWEST_TEMPERATURE), HIGHEST_TEMPERATURE) for each in wanted]
    heat = torch.tensor(heats, device=scores.device)
    scores = scores / heat.unsqueeze(-1)
    if any(each.min_p for each in wanted):
        scores = _cut_unlikely(scores, wanted)
    if any(each.top_k or each.top_p < 1 for each in wanted):
        scores = _cut_tail(scores, wanted)
    chances = scores.softmax(dim=-1)
    # the largest of chance / exponential noise is a draw by chance; each answer has noise of its own
    noise = torch.empty_like(chances)
    for row, draw in zip(noise, draws, strict=True):
        row.exponential_(generator=draw.generator)
    return (chances / noise).argmax(dim=-1)


def _cut_unlikely(scores: torch.Tensor, wanted: list[Sampling]) -> torch.Tensor:
    chances = scores.softmax(dim=-1)
    least = torch.tensor([each.min_p for each in wanted], device=scores.device).unsqueeze(-1)
    return scores.masked_fill(chances < least * chances.amax(dim=-1, keepdim=True), float("-inf"))


def _cut_tail(scores: torch.Tensor, wanted: list[Sampling]) -> torch.Tensor:
    size = scores.shape[-1]
    ordered, places = scores.sort(dim=-1, descending=True)
    kept = torch.tensor([min(each.top_k or size, size) for each in wanted], device=scores.device)
    ordered = ordered.masked_fill(ordered < ordered.gather(-1, (kept - 1).unsqueeze(-1)), float("-inf"))
    share = torch.tensor([each.top_p for each in wanted], device=scores.device).unsqueeze(-1)
    chances = ordered.softmax(dim=-1)
    before = chances.cumsum(dim=-1) - chances
    cut = (before >= share) & (share < 1)
    cut[..., 0] = False  # the best one always stays
    return torch.empty_like(scores).scatter_(-1, places, ordered.masked_fill(cut, float("-inf")))
