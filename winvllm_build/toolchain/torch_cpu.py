"""A CPU build's headers made to serve for compiling CUDA extensions; it ships nearly all of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain.torch import CONFIG

CUDA_CONFIG: Final = """\
#pragma once
// For compiling extensions against a CPU build's headers: none of the optional libraries.
#define AT_CUDNN_ENABLED() 0
#define AT_CUSPARSELT_ENABLED() 0
#define AT_HIPSPARSELT_ENABLED() 0
#define AT_ROCM_ENABLED() 0
#define AT_MAGMA_ENABLED() 0
#define NVCC_FLAGS_EXTRA ""
"""
CUDA_MACROS: Final = """\
#pragma once
#define C10_CUDA_BUILD_SHARED_LIBS
"""


def enable_cuda(package: Path) -> None:
    """Make a CPU build's CMake files look for CUDA, and add the two headers its build did not generate.

    Raises:
        ToolchainError: the CMake files are laid out differently.
    """
    caffe2 = package / "share/cmake/Caffe2/Caffe2Config.cmake"
    for file in (caffe2, package / CONFIG):
        text = file.read_text("utf-8", "replace")
        text = re.sub(r"^(\s*if\()0\)", r"\1ON)", text, flags=re.MULTILINE)
        text = text.replace("if( AND NOT CAFFE2_USE_CUDA)", "if(ON AND NOT CAFFE2_USE_CUDA)")
        text = re.sub(r"\(CAFFE2_USE_CUDA (0|OFF)\)", "(CAFFE2_USE_CUDA ON)", text, count=1)
        file.write_text(text, encoding="utf-8", newline="\n")
    if "set(CAFFE2_USE_CUDA ON)" not in caffe2.read_text("utf-8"):
        raise ToolchainError(
            f"{caffe2} is laid out differently from the CPU builds known",
            fix="install a torch built with CUDA, then set torch.source to installed",
        )
    for name, text in {
        "ATen/cuda/CUDAConfig.h": CUDA_CONFIG,
        "c10/cuda/impl/cuda_cmake_macros.h": CUDA_MACROS,
    }.items():
        header = package / "include" / name
        if not header.exists():
            header.parent.mkdir(parents=True, exist_ok=True)
            header.write_text(text, encoding="ascii", newline="\n")
