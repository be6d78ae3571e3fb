"""The command lines of the front ends, as far as facts about them decide them."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.audit.frontend import command_lines as lines
from winvllm_build.audit.frontend.command_lines import Headers
from winvllm_build.audit.frontend.markers import Names
from winvllm_build.audit.frontend.units import Language, Unit

HEADERS = Headers(
    cuda=Path("/w/cuda"), release=(13, 0, 88), stand_ins=Path("/w/stand-ins"), stl=Path("/w/stl"),
    wine=Path("/w/wine"), windows=Path("/w/windows"),
)  # fmt: skip
UNIT = Unit(
    path="csrc/a.cu", target="_C", language=Language.CUDA, definitions=("NDEBUG", "X=1"),
    includes=(Path("/t/csrc"),), standard="c++17", relaxed_constexpr=True, suppressed=("--diag_suppress=x",),
    archs=("86", "90a"),
)  # fmt: skip
NAMES = Names({Path("/t"): ""})


def _preprocess(**more: object) -> list[str]:
    device = str(more["device"]) if "device" in more else None
    source = Path("/t/csrc/a.cu")
    return lines.preprocess(
        Path("/usr/bin/clang-19"), UNIT, HEADERS, NAMES, source=source, device=device, cuda="host" not in more
    )


def test_clang_hides_itself_before_cuda_is_included_and_knows_nvcc_s_names() -> None:
    words = _preprocess()
    first, second = [words[at + 1] for at, word in enumerate(words) if word == "-include"]
    assert (first, second) == ("/w/stand-ins/not_clang.h", "cuda_runtime.h")
    assert {"-D__CUDACC__", "-D__CUDACC_VER_BUILD__=88", "-D__CUDA_ARCH_LIST__=860,900", "-DX=1"} <= set(
        words
    )
    assert "-D__CUDACC_RELAXED_CONSTEXPR__" in words
    assert "-D__CUDACC_EXTENDED_LAMBDA__" not in words
    assert words[-1] == "/t/csrc/a.cu"


def test_the_stand_ins_are_searched_before_the_stl_and_wine_s_headers() -> None:
    words = _preprocess()
    system = [words[at + 1] for at, word in enumerate(words) if word == "-isystem"]
    assert system == ["/w/stand-ins", "/w/stl", "/w/wine", "/w/windows"]
    own = [word for word in words if word.startswith("-I")]
    assert own == ["-I/t/csrc", "-I/w/cuda/include", "-I/w/cuda/include/cccl"]


def test_a_device_pass_defines_the_architecture() -> None:
    assert "-D__CUDA_ARCH__=860" in _preprocess(device="86")
    assert not any("__CUDA_ARCH__" in word for word in _preprocess())


def test_a_host_file_is_read_by_clang_as_clang() -> None:
    words = _preprocess(host=True)
    assert "-include" not in words
    assert not any("__CUDACC__" in word for word in words)


def test_the_front_end_is_told_microsoft_s_dialect_and_not_plain_c17() -> None:
    words = lines.cudafe(UNIT, HEADERS)
    assert words[0] == "/w/cuda/bin/cudafe++.exe"
    assert {"--ms_c++17", "--microsoft_version=1943", "--relaxed_constexpr", "--diag_suppress=x"} <= set(
        words
    )
    assert "--c++17" not in words
    assert words[-1] == "unit.ii"


def test_the_device_compiler_gets_the_architecture_and_its_own_text() -> None:
    words = lines.cicc(UNIT, HEADERS, "86")
    assert words[words.index("-arch") + 1] == "compute_86"
    assert words[-3:] == ["unit.cpp1.ii", "-o", "unit.ptx"]


def test_no_path_of_the_machine_is_in_what_names_a_text() -> None:
    """Else the same text in another folder would be judged again."""
    assert not any(word.startswith("/") for word in lines.cudafe(UNIT, HEADERS)[1:])
