"""From a request's body to what the engine is asked for; every value is checked here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from .errors import RequestError, refused_value
from .model import Loaded
from .protocol import ChatRequest, CompletionRequest, Generation
from .sampling import GREEDY, Sampling
from .text import StopRule

MOST_LOGPROBS = 20
MOST_ANSWERS = 128
UNLIKELY = 2.0
MOST_BIAS = 100.0
"""Upstream cuts what is beyond."""
LONGEST_ID = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Of one request, for each of its answers."""

    sampling: Sampling
    rule: StopRule
    ends: frozenset[int]
    """Tokens that end an answer."""
    silent_end: int | None
    """The one among them that is no reason of its own."""
    skip_special: bool
    answers: int

    def for_answer(self, index: int) -> Sampling:
        """With random numbers of its own."""
        seed = self.sampling.seed
        return self.sampling if seed is None else replace(self.sampling, seed=(seed + index) % 2**63)


def wishes(body: Generation, loaded: Loaded) -> Wishes:
    """What `body` asks for, with the model's own values where it is silent.

    Raises:
        RequestError: a value that makes no sense, or an option that the engine has not.
    """
    body.refuse_unsupported()
    found = {name: _chosen(body, loaded.defaults, name) for name in NEUTRAL}
    problems = (*_bad_numbers(found), *_bad_penalties(found), *_bad_counts(body), *_bad_lists(body, loaded))
    for problem in problems:
        raise problem
    greedy = found["temperature"] < GREEDY
    count = 1 if body.n is None else body.n
    if greedy and count > 1:
        raise RequestError(f"n must be 1 when nothing is drawn by chance (temperature 0), got {count}.")
    asked_ends = frozenset(body.stop_token_ids or ())
    all_ends = asked_ends | loaded.more_ends | ({loaded.end} if loaded.end is not None else frozenset())
    ends = asked_ends if body.ignore_eos else all_ends
    if body.min_tokens and not set(body.allowed_token_ids or range(loaded.vocabulary)) - all_ends:
        raise RequestError("min_tokens leaves no token: all that are allowed would end the answer.")
    top_k = int(found["top_k"])
    return Wishes(
        sampling=Sampling(
            temperature=found["temperature"],
            top_p=found["top_p"],
            top_k=max(top_k, 0),
            min_p=found["min_p"],
            seed=body.seed,
            presence=found["presence_penalty"],
            frequency=found["frequency_penalty"],
            repetition=found["repetition_penalty"],
            bias={
                int(token): min(max(value, -MOST_BIAS), MOST_BIAS)
                for token, value in (body.logit_bias or {}).items()
            },
            allowed=tuple(body.allowed_token_ids or ()),
            at_least=body.min_tokens,
            ends=all_ends,
            logprobs=body.told,
        ),
        rule=StopRule(strings=body.stops, include=body.include_stop_str_in_output, after=body.min_tokens),
        ends=ends,
        silent_end=None if body.ignore_eos else loaded.end,
        skip_special=body.skip_special_tokens is not False,
        answers=count,
    )


NEUTRAL: Mapping[str, float] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "repetition_penalty": 1.0,
}


def _chosen(body: Generation, defaults: Mapping[str, float], name: str) -> float:
    """The request's value, the model's own, or the one that changes nothing."""
    asked: float | None = getattr(body, name)
    return defaults.get(name, NEUTRAL[name]) if asked is None else asked


def _bad_numbers(found: Mapping[str, float]) -> Iterator[RequestError]:
    """Upstream names the parameter with some of these and not with others."""
    heat, top_p, top_k = found["temperature"], found["top_p"], found["top_k"]
    if not 0 <= heat < float("inf"):
        yield refused_value(f"temperature must not be negative, got {heat}.", param="temperature", value=heat)
    if not 0 < top_p <= 1:
        yield refused_value(f"top_p must be in (0, 1], got {top_p}.", param="top_p", value=top_p)
    if top_k < -1:
        yield RequestError(f"top_k must be 0 (all) or at least 1, got {top_k}.")
    if not 0 <= found["min_p"] <= 1:
        yield RequestError(f"min_p must be in [0, 1], got {found['min_p']}.")


def _bad_counts(body: Generation) -> Iterator[RequestError]:
    if body.n is not None and not 1 <= body.n <= MOST_ANSWERS:
        yield RequestError(f"n must be at least 1 and at most {MOST_ANSWERS}, got {body.n}.")
    wanted = body.wanted_tokens
    if wanted is not None and wanted < 1:
        yield refused_value(f"max_tokens must be at least 1, got {wanted}.", param="max_tokens", value=wanted)
    if body.min_tokens < 0 or body.min_tokens > (wanted or body.min_tokens):
        yield RequestError(f"min_tokens must be from 0 to max_tokens={wanted}, got {body.min_tokens}.")


def _bad_penalties(found: Mapping[str, float]) -> Iterator[RequestError]:
    for name in ("presence_penalty", "frequency_penalty"):
        if not -UNLIKELY <= found[name] <= UNLIKELY:
            yield RequestError(f"{name} must be in [-2, 2], got {found[name]}.")
    if not 0 < found["repetition_penalty"] < float("inf"):
        yield RequestError(f"repetition_penalty must be above 0, got {found['repetition_penalty']}.")


def _bad_lists(body: Generation, loaded: Loaded) -> Iterator[RequestError]:
    if any(not string for string in body.stops):
        yield RequestError("stop has an empty string.")
    if body.stream_options is not None and not body.stream:
        yield refused_value("stream_options are for `stream=True` only", param="stream_options")
    yield from _bad_logprobs(body)
    words = [
        key for key in body.logit_bias or {} if len(key) > LONGEST_ID or not key.removeprefix("-").isdecimal()
    ]
    if words:
        yield refused_value("logit_bias has keys that are no token ids", param="logit_bias", value=words)
        return
    if not all(math.isfinite(value) for value in (body.logit_bias or {}).values()):
        yield refused_value("logit_bias has values that are no numbers", param="logit_bias")
    for name, tokens in (
        ("logit_bias", [int(key) for key in body.logit_bias or {}]),
        ("allowed_token_ids", body.allowed_token_ids or []),
        ("stop_token_ids", body.stop_token_ids or []),
    ):
        foreign = [token for token in tokens if not 0 <= token < loaded.vocabulary]
        if foreign:
            message = f"{name} has token ids that are not in the vocabulary of {loaded.vocabulary}"
            yield refused_value(message, param=name, value=foreign)


def _bad_logprobs(body: Generation) -> Iterator[RequestError]:
    told, name = body.told, "logprobs"
    if isinstance(body, ChatRequest):
        name = "top_logprobs"
        if body.top_logprobs and not body.logprobs:
            yield refused_value("with `top_logprobs`, `logprobs` must be true.", param=name)
        if body.echo:
            yield refused_value("echo is not supported in a chat by the fallback engine", param="echo")
    if isinstance(body, CompletionRequest) and body.echo and told is not None:
        yield refused_value(
            "logprobs of an echoed prompt are not supported by the fallback engine", param=name
        )
    if told is not None and told < 0:
        yield refused_value(f"`{name}` must not be negative.", param=name, value=told)
    if told is not None and told > MOST_LOGPROBS:
        yield refused_value(f"`{name}` is at most {MOST_LOGPROBS}.", param=name, value=told)
