"""GNU's line markers become `#line`, folders become names."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.audit.frontend.markers import Names, convert

NAMES = Names({Path("/t/vllm"): "", Path("/t/vllm/deps/torch"): "torch", Path("/w/cuda/include"): "cuda"})


def _convert(*lines: str) -> list[str]:
    return list(convert([f"{line}\n" for line in lines], NAMES))


def test_flags_of_system_headers_are_dropped() -> None:
    """With `3` cudafe++ keeps errors to itself and ends with `Compilation aborted`."""
    assert _convert('# 12 "/w/cuda/include/cuda.h" 1 3 4') == ['#line 12 "cuda/cuda.h"\n']


def test_the_longest_folder_gives_the_name_and_the_tree_has_none() -> None:
    assert NAMES.short("/t/vllm/deps/torch/all.h") == "torch/all.h"
    assert NAMES.short("/t/vllm/csrc/a.cu") == "csrc/a.cu"
    assert NAMES.short("/elsewhere/a.h") == "/elsewhere/a.h"
    assert NAMES.short("/t/vllm2/a.h") == "/t/vllm2/a.h"


def test_code_and_directives_stay() -> None:
    kept = ["#pragma once", "int a; # 1", "# pragma pack(8)", '  # 3 "x"', ""]
    assert _convert(*kept) == [f"{line}\n" for line in kept]


def test_the_options_for_file_name_the_shortest_folder_first() -> None:
    """The last that fits is what clang takes."""
    assert NAMES.options() == [
        "-fmacro-prefix-map=/t/vllm/=",
        "-fmacro-prefix-map=/w/cuda/include/=cuda/",
        "-fmacro-prefix-map=/t/vllm/deps/torch/=torch/",
    ]


@pytest.mark.parametrize("file", ["/t/vllm/deps/torch/all.h", "/t/vllm/csrc/a.cu", "/w/cuda/include/cuda.h"])
def test_a_short_name_leads_back_to_its_file(file: str) -> None:
    assert NAMES.file(NAMES.short(file)) == Path(file)
