"""Wheels of several architectures that share one store: a compiler runs where command or source is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.matrix import Matrix
from benchmarks.replay import compiler, lists
from benchmarks.replay.compiler import Scale

pytestmark = pytest.mark.skipif(not compiler.available(), reason="the replay compiler needs cc and Linux")
SOURCES = {
    *lists.SELECTING,
    "<tree>/csrc/topk.cu",
    "<tree>/csrc/spinloop.cpp",
    "<tree>/csrc/quantization/marlin/sm80_kernel_float16_u4_float16.cu",
    "<flash-attn>/csrc/flash_attn/src/flash_fwd_hdim64_fp16_sm80.cu",
}
LINK = "spinloop.abi3.so"


@pytest.mark.parametrize("apart", [False, True], ids=["one store", "stores that were exported"])
def test_each_distinct_command_is_compiled_once(tmp_path: Path, *, apart: bool) -> None:
    """8.0 and 8.6 have one Marlin; with 8.9 the generated header is another, and with it what reads it."""
    listed = {
        archs: [each for each in commands if each.source in SOURCES or each.output == LINK]
        for archs, commands in lists.load("v0.33.0").items()
        if archs in {"8.0", "8.6", "8.9"}
    }
    matrix = Matrix(root=tmp_path, tag="v0.33.0", scale=Scale(time=0.0, memory=0.0), apart=apart)
    rows = list(matrix.rows(listed))
    assert [(row.compiled, row.placed, row.linked) for row in rows] == [(6, 0, 1), (1, 5, 1), (3, 3, 1)]
    assert [row.new for row in rows] == [6, 1, 3]
    assert [(row.astray, row.different) for row in rows] == [((), ())] * 3
