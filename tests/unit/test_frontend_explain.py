"""Errors as the front ends word them, and the hazards they are signs of."""

from __future__ import annotations

import pytest

from winvllm_build.audit.frontend import explain
from winvllm_build.audit.frontend.messages import Message
from winvllm_build.audit.hazard import catalogue


def _hazards(text: str, source: str = "") -> tuple[str, ...]:
    return explain.hazards([Message(file="csrc/a.cu", line=1, text=text, source=source)])


@pytest.mark.parametrize(
    ("text", "source", "hazard"),
    [
        ("GCC builtin: __builtin_clz", "return __builtin_clz(x);", "D1"),
        ('identifier "__asm__" is undefined', '__asm__ __volatile__("...");', "D3"),
        ("expected an expression", "return {.x = 1};", "D4"),
        ('identifier "__int128_t" is undefined', "__int128_t x;", "D5"),
        ('expected a ","', "if (a or b) {", "D6"),
        ('calling a __host__ function("bool ::isinf<float> (T1)") from a __global__ function', "", "D7"),
        ('attribute "__host__" does not apply here', "MAYBE_HOST_DEVICE static constexpr T v = 1;", "D8"),
        ("unknown type name 'ssize_t'; did you mean 'size_t'?", "ssize_t n;", "D11"),
        ('identifier "uint" is undefined', "const uint x = 1;", "D12"),
    ],
)
def test_an_error_is_the_sign_of_its_hazard(text: str, source: str, hazard: str) -> None:
    assert _hazards(text, source) == (hazard,)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ('expected a ";"', "int x = 1"),
        ("expected an expression", "int x = ;"),
        ('identifier "uint8" is undefined', "uint8 x;"),
        ("expected a declaration", "}  // namespace vllm"),
    ],
)
def test_an_error_that_follows_from_another_is_no_sign(text: str, source: str) -> None:
    assert _hazards(text, source) == ()


def test_every_sign_is_of_a_hazard_of_the_catalogue() -> None:
    assert {sign.hazard for sign in explain.signs()} <= set(catalogue())


def test_hazards_are_told_in_their_order() -> None:
    found = explain.hazards(
        Message(file="", line=0, text=text) for text in ('identifier "uint" is undefined', '"__int64_t" is')
    )
    assert found == ("D5", "D12")
