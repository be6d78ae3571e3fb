"""The options of a server: what a user gives, the launcher's defaults, what goes on to the engine."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.choices import KvCacheType, ModelType
from winvllm_build.errors import UsageError
from winvllm_build.suggest import did_you_mean

HOST: Final = "127.0.0.1"
PORT: Final = 8100
UTILIZATION: Final = 0.6
REQUESTS: Final = 64
"""The defaults of the launcher that the v0.14.1 port came with."""


class EngineKind(Enum):
    """What computes.

    VLLM: the vLLM that is installed in the server's Python.
    TRANSFORMERS: the continuous batching of transformers, behind a server of the same endpoints.
    """

    VLLM = "vllm"
    TRANSFORMERS = "transformers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user gave; None where nothing was said.

    Attributes:
        passed: flags of `vllm serve` that go on as they are.
    """

    host: str | None = None
    port: int | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: str | None = None
    max_num_seqs: int | None = None
    enforce_eager: bool | None = None
    tensor_parallel_size: int | None = None
    dtype: str | None = None
    kv_cache_dtype: str | None = None
    served_model_name: tuple[str, ...] = ()
    api_key: str | None = None
    passed: tuple[str, ...] = ()

    def given(self) -> dict[str, object]:
        """The values of `[runtime]` that were given, by key.

        Raises:
            UsageError: one is outside what it can be; all of them are listed.
        """
        found: dict[str, object] = {}
        problems = []
        for name, read in (
            ("gpu_memory_utilization", self._share),
            ("max_model_len", self._length),
            ("max_num_seqs", self._count),
            ("dtype", self._dtype),
            ("kv_cache_dtype", self._kv_cache),
        ):
            try:
                value = read()
            except ValueError as error:
                problems.append(f"--{name.replace('_', '-')} {error}")
            else:
                if value is not None:
                    found[name] = value
        if problems:
            raise UsageError("\n".join(problems), fix="winvllm-build serve --help")
        if self.enforce_eager is not None:
            found["enforce_eager"] = self.enforce_eager
        return found

    def _share(self) -> float | None:
        if self.gpu_memory_utilization is not None and not 0 < self.gpu_memory_utilization <= 1:
            raise ValueError(f"{self.gpu_memory_utilization} is no share of the card's memory; 0.6 is one")
        return self.gpu_memory_utilization

    def _length(self) -> object:
        text = self.max_model_len
        if text is None or text == "auto":
            return text
        scale = {"k": 1000, "K": 1024, "m": 10**6, "M": 1 << 20}.get(text[-1:])
        digits = text if scale is None else text[:-1]
        if not digits.isascii() or not digits.isdigit() or int(digits) < 1:
            raise ValueError(f'"{text}" is neither a number of tokens, such as 4096 or 32K, nor auto')
        return int(digits) * (scale or 1)

    def _count(self) -> int | None:
        if self.max_num_seqs is not None and self.max_num_seqs < 1:
            raise ValueError(f"{self.max_num_seqs} is less than 1")
        return self.max_num_seqs

    def _dtype(self) -> str | None:
        return _one_of(self.dtype, [choice.value for choice in ModelType])

    def _kv_cache(self) -> str | None:
        return _one_of(self.kv_cache_dtype, [choice.value for choice in KvCacheType])


def _one_of(text: str | None, known: Sequence[str]) -> str | None:
    if text is not None and text not in known:
        raise ValueError(f'"{text}" is none of {", ".join(known)}{did_you_mean(text, known)}')
    return text


def flag_names(passed: Sequence[str]) -> Iterator[str]:
    """The options among what is passed on, as `--max-model-len`, however they are written."""
    for word in passed:
        if _is_flag(word):
            name = word.partition("=")[0]
            yield SHORT.get(name, name.replace("_", "-"))


SHORT: Final = {
    "-dp": "--data-parallel-size",
    "-pcp": "--prefill-context-parallel-size",
    "-pp": "--pipeline-parallel-size",
    "-q": "--quantization",
    "-tp": "--tensor-parallel-size",
}


def value_of(passed: Sequence[str], name: str) -> str | None:
    """What an option among them says; the last one counts."""
    found = None
    for at, word in enumerate(passed):
        given, equals, value = word.partition("=")
        if SHORT.get(given, given.replace("_", "-")) != name:
            continue
        after = next(iter(passed[at + 1 : at + 2]), "")
        found = value if equals else "" if _is_flag(after) else after
    return found


def values_of(passed: Sequence[str], name: str) -> tuple[str, ...]:
    """All the words that an option takes which may have several; those of its last mention count."""
    found: tuple[str, ...] = ()
    for at, word in enumerate(passed):
        given, equals, value = word.partition("=")
        if SHORT.get(given, given.replace("_", "-")) == name:
            found = (
                (value,)
                if equals
                else tuple(itertools.takewhile(lambda w: not _is_flag(w), passed[at + 1 :]))
            )
    return found


def _is_flag(word: str) -> bool:
    """Whether it is no value; a negative number is one."""
    try:
        float(word)
    except ValueError:
        return word.startswith("-")
    return False
