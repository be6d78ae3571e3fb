"""The header that MSVC builds include first: CUtensorMap of 64 bytes, for the host and for the device."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from winvllm_build import process

pytestmark = pytest.mark.nvcc
TAGS = ("v0.14.1", "v0.19.0", "v0.19.1", "v0.33.0")
HEADER = "cmake/windows_cuda.h"
KERNEL = """\
#include <cuda.h>
static_assert(alignof(CUtensorMap) == ALIGNED && sizeof(CUtensorMap) == 128);
struct Parameters { int first; CUtensorMap map; };
__global__ void take(const __grid_constant__ Parameters p, int* out) { *out = p.first; }
void start(Parameters p) { take<<<1, 1>>>(p, nullptr); }
"""


def header(checkout: Path, tag: str) -> str:
    patch = (checkout / "patches" / tag / "windows" / "vllm" / f"{HEADER}.patch").read_text(encoding="utf-8")
    lines = patch.partition("\n@@ ")[2].splitlines()[1:]
    return "".join(f"{line[1:]}\n" for line in lines)


def test_every_set_has_the_same_header(checkout: Path) -> None:
    assert len({header(checkout, tag) for tag in TAGS}) == 1


@pytest.mark.parametrize(("first", "aligned"), [(False, 128), (True, 64)])
def test_a_parameter_with_a_tensor_map(checkout: Path, tmp_path: Path, *, first: bool, aligned: int) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc on PATH")  # a toolkit that the tool lays down is not on it
    release = re.search(r"release (\d+)\.", process.capture([nvcc, "--version"]).text)
    assert release is not None
    if not first and int(release[1]) < 13:
        pytest.skip("before CUDA 13 cuda.h aligns CUtensorMap to 64 bytes by itself")  # nothing to compare
    for name, text in {"k.cu": KERNEL, "first.h": header(checkout, TAGS[0])}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    options = [f"--pre-include={tmp_path / 'first.h'}"] if first else []
    common = [nvcc, "-std=c++20", "-arch=sm_90a", f"-DALIGNED={aligned}", *options, str(tmp_path / "k.cu")]
    for output in ("k.ptx", "k.o"):
        made = process.capture(
            [*common, "--ptx" if output == "k.ptx" else "-c", "-o", str(tmp_path / output)]
        )
        assert made.code == 0, made.error_text
    ptx = (tmp_path / "k.ptx").read_text(encoding="utf-8")
    assert re.findall(r"\.param \.align (\d+) \.b8", ptx) == [str(aligned)]
