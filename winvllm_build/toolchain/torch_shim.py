"""A `torch` package that answers what upstream's CMake and setup.py ask, beside headers without libraries."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

from winvllm_build.errors import ToolchainError

FLAGS: Final = "COMMON_NVCC_FLAGS"
PACKAGE_TEXT: Final = '''\
"""Stands in for torch while extensions are configured: its version, and where its headers are."""

from torch import utils, version

__version__ = version.__version__
'''
UTILS_TEXT: Final = '''\
"""Where the CMake files are."""

import os

_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
cmake_prefix_path = os.path.join(_package, "share", "cmake")
'''
EXTENSION_TEXT: Final = '''\
"""The compiler flags torch asks of every extension, and which toolkit there is."""

import os

COMMON_NVCC_FLAGS = {flags!r}
CUDA_HOME = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
ROCM_HOME = None
'''


def write_shim(package: Path, cpp_extension: str) -> None:
    """Make `package` (a folder named torch, with the wheel's version.py) importable.

    Args:
        package: gets `__init__.py` and `utils`.
        cpp_extension: the text of the wheel's own torch/utils/cpp_extension.py.

    Raises:
        ToolchainError: that text has no list of compiler flags.
    """
    flags = parse_flags(cpp_extension)
    utils = package / "utils"
    utils.mkdir(exist_ok=True)
    (package / "__init__.py").write_text(PACKAGE_TEXT, encoding="utf-8")
    (utils / "__init__.py").write_text(UTILS_TEXT, encoding="utf-8")
    (utils / "cpp_extension.py").write_text(EXTENSION_TEXT.format(flags=flags), encoding="utf-8")


def parse_flags(text: str) -> list[str]:
    """The literal list COMMON_NVCC_FLAGS.

    Raises:
        ToolchainError: there is none.
    """
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == FLAGS for target in node.targets
        ):
            found = ast.literal_eval(node.value)
            if isinstance(found, list) and all(isinstance(flag, str) for flag in found):
                return found
    raise ToolchainError(
        f"torch/utils/cpp_extension.py has no list {FLAGS}; this torch is laid out differently",
        fix="install the CUDA torch that the tag pins, then set torch.source to installed",
    )
