"""Which failures of an edge are the compiler cache's, and when the cache is given up."""

from __future__ import annotations

import pytest

from winvllm_build.build.cache.fallback import Cause, Fallback, cause

NVCC_ERROR = '/t/csrc/topk.cu(12): error: identifier "uint" is undefined\n1 error detected in the compilation'
ILLEGAL_INSTRUCTION = 0xC000001D


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (2, NVCC_ERROR, Cause.COMPILER),
        (1, "a.cpp:3:10: fatal error: missing.h: No such file or directory", Cause.COMPILER),
        (2, 'topk.cu(77): error C2146: Syntaxfehler: Fehlendes ";"', Cause.COMPILER),
        (1, "LINK : fatal error LNK1181: cannot open input file", Cause.COMPILER),
        (1, "nvcc fatal   : Unsupported gpu architecture 'compute_10'", Cause.COMPILER),
        (255, "ptxas fatal   : Memory allocation failure", Cause.CRASH),
        (2, "sccache: error: Timed out waiting for server startup. Maybe the remote service is", Cause.CACHE),
        (
            2,
            "sccache: error: failed to execute compile\\nsccache: caused by: Failed to read response",
            Cause.CACHE,
        ),
        (2, f"sccache: encountered fatal error\n{NVCC_ERROR}", Cause.CACHE),
        (101, "thread 'main' panicked at src/commands.rs:512:10:", Cause.CACHE),
        (ILLEGAL_INSTRUCTION, "", Cause.CRASH),
        (ILLEGAL_INSTRUCTION - (1 << 32), "activation_kernels.cu", Cause.CRASH),
        (-9, "", Cause.CRASH),
        (2, "activation_kernels.cu\n", Cause.CRASH),
    ],
)
def test_a_failure_is_told_by_what_was_printed(code: int, text: str, expected: Cause) -> None:
    assert cause(code, text) is expected


def test_the_cache_is_given_up_after_three_failures_of_its_own() -> None:
    fallback = Fallback()
    assert [fallback.again(-4, "") for _ in range(2)] == [True, True]
    assert fallback.usable()
    assert fallback.again(2, "sccache: error: no")
    assert not fallback.usable()
    assert fallback.given_up.startswith("3 edges failed")


def test_compile_errors_are_neither_repeated_nor_counted() -> None:
    fallback = Fallback()
    assert [fallback.again(2, NVCC_ERROR) for _ in range(9)] == [False] * 9
    assert fallback.usable()


def test_the_first_reason_stays() -> None:
    fallback = Fallback()
    assert fallback.give_up("its server has ended")
    assert not fallback.give_up("something else")
    assert fallback.given_up == "its server has ended"
