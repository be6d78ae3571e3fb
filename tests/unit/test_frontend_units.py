"""A Linux configure's compilation database, read as Windows would compile it."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.audit.frontend.passes import own_files
from winvllm_build.audit.frontend.units import (
    Language,
    Replacement,
    Unit,
    only_on_linux,
    read,
    representatives,
)

TREE = Path("/t/vllm")
CUDA = (
    "/usr/local/cuda/bin/nvcc -forward-unknown-to-host-compiler -DPy_LIMITED_API=3 -DUSE_C10D_NCCL "
    "-DTORCH_EXTENSION_NAME=_C -I/t/vllm/csrc -isystem /py/include/python3.12 -isystem /torch/include "
    "-isystem /usr/local/cuda/include -Xcudafe --diag_suppress=a,--diag_suppress=b --expt-relaxed-constexpr "
    '-DNAME="two words" -std=c++17 -gencode arch=compute_80,code=sm_80 '
    "-gencode arch=compute_90a,code=sm_90a -x cu -c /t/vllm/csrc/a.cu -o CMakeFiles/_C.dir/csrc/a.cu.o"
)
HOST = (
    "/usr/bin/g++ -DX -isystem /torch/include/torch -I /t/vllm/csrc -std=gnu++17 "
    "-c /t/vllm/csrc/b.cpp -o CMakeFiles/mem.dir/csrc/b.cpp.o"
)
SWAP = Replacement(
    folders={
        Path("/usr/local/cuda/include"): Path("/win/cuda"),
        Path("/torch/include"): Path("/win/torch"),
        Path("/py/include/python3.12"): Path("/win/python"),
    },
    dropped=frozenset({"USE_C10D_NCCL"}),
)


def _read(*commands: tuple[str, str]) -> tuple[Unit, ...]:
    entries = [{"file": file, "command": command} for file, command in commands]
    return read(entries, tree=TREE, generated=frozenset({"csrc/g/1.cu", "csrc/g/2.cu"}), swap=SWAP)


def test_a_cuda_unit_keeps_what_windows_has_and_swaps_the_folders() -> None:
    (unit,) = _read(("/t/vllm/csrc/a.cu", CUDA))
    assert unit.path == "csrc/a.cu"
    assert unit.target == "_C"
    assert unit.language is Language.CUDA
    assert unit.definitions == ("Py_LIMITED_API=3", "TORCH_EXTENSION_NAME=_C", "NAME=two words")
    assert unit.includes == (
        Path("/t/vllm/csrc"), Path("/win/python"), Path("/win/torch"), Path("/win/cuda"),
    )  # fmt: skip
    assert unit.relaxed_constexpr
    assert not unit.extended_lambda
    assert unit.suppressed == ("--diag_suppress=a", "--diag_suppress=b")
    assert unit.archs == ("80", "90a")


def test_a_host_unit_searches_i_before_isystem_and_has_no_gnu_extensions() -> None:
    (unit,) = _read(("/t/vllm/csrc/b.cpp", HOST))
    assert unit.language is Language.CXX
    assert unit.includes == (Path("/t/vllm/csrc"), Path("/win/torch/torch"))
    assert unit.standard == "c++17"
    assert unit.archs == ()


def test_what_the_tree_defines_on_windows_follows_and_does_not_replace() -> None:
    swap = Replacement(folders={}, dropped=frozenset(), defined=("NOMINMAX", "NAME=other"))
    (unit,) = read(
        [{"file": "/t/vllm/csrc/a.cu", "command": CUDA}], tree=TREE, generated=frozenset(), swap=swap
    )
    assert unit.definitions[-2:] == ("NAME=two words", "NOMINMAX")


def test_sources_of_dependencies_are_left_out() -> None:
    assert _read(("/t/deps/flash/a.cu", CUDA)) == ()


def test_of_the_files_of_a_generator_the_first_of_each_folder_stands_for_all() -> None:
    units = _read(*((f"/t/vllm/csrc/{name}", CUDA) for name in ("a.cu", "g/1.cu", "g/2.cu")))
    assert [unit.path for unit in units if unit.generated] == ["csrc/g/1.cu", "csrc/g/2.cu"]
    assert [unit.path for unit in representatives(units)] == ["csrc/a.cu", "csrc/g/1.cu"]


def test_definitions_of_torch_s_targets_that_windows_does_not_have() -> None:
    linux = 'INTERFACE_COMPILE_DEFINITIONS "USE_DISTRIBUTED;USE_RPC"\nINTERFACE_COMPILE_DEFINITIONS "\\$<T>"'
    assert only_on_linux(linux, 'INTERFACE_COMPILE_DEFINITIONS "USE_DISTRIBUTED"') == {"USE_RPC"}


def test_units_of_a_dependency_follow_under_its_name_and_others_are_left_out() -> None:
    entries = [
        {"file": file, "command": CUDA}
        for file in ("/deps/fa/src/x.cu", "/deps/fa2/src/x.cu", "/t/vllm/csrc/a.cu")
    ]
    found = read(
        entries, tree=TREE, generated=frozenset(), swap=SWAP, dependencies={"flash-attn": Path("/deps/fa")}
    )
    assert [(unit.path, unit.dependency) for unit in found] == [
        ("csrc/a.cu", ""), ("flash-attn/src/x.cu", "flash-attn"),
    ]  # fmt: skip
    assert own_files(found[0]) == ("csrc/",)
    assert own_files(found[1]) == ("csrc/", "flash-attn/")
