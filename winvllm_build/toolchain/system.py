"""The two systems a toolchain is found on, and how programs and libraries are named there."""

from __future__ import annotations

import ctypes
import platform
import sys
from pathlib import Path
from typing import Final

from typing_extensions import assert_never

from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag

LONGEST_PATH: Final = 32768
MACHINES: Final = ("x86_64", "amd64")


def this_system(*, name: str = sys.platform, machine: str | None = None) -> PlatformTag:
    """The system this interpreter runs on.

    Raises:
        ToolchainError: it is neither Linux nor Windows on x86-64.
    """
    machine = platform.machine() if machine is None else machine
    if machine.lower() in MACHINES:
        if name == "linux":
            return PlatformTag.LINUX_X86_64
        if name == "win32":
            return PlatformTag.WINDOWS_AMD64
    raise ToolchainError(
        f"vLLM's CUDA kernels are built on Windows and Linux, x86-64; this is {name} on {machine}",
        fix="run on one of these (WSL counts as Linux)",
    )


def short_name(path: Path, marks: str = " ") -> Path:
    """The same folder by its 8.3 name, where Windows keeps one.

    Args:
        path: it stays as it is unless it holds one of `marks`.
        marks: not everything quotes blanks in CUDA's path.
    """
    if sys.platform != "win32" or not set(marks) & set(str(path)):
        return path
    buffer = ctypes.create_unicode_buffer(LONGEST_PATH)
    length = ctypes.windll.kernel32.GetShortPathNameW(str(path), buffer, LONGEST_PATH)
    return Path(buffer.value) if 0 < length < LONGEST_PATH else path


def program(name: str, system: PlatformTag) -> str:
    match system:
        case PlatformTag.LINUX_X86_64:
            return name
        case PlatformTag.WINDOWS_AMD64:
            return f"{name}.exe"
        case _:
            assert_never(system)


def link_library(name: str, system: PlatformTag) -> str:
    """The file a linker is given for the shared library `name`."""
    match system:
        case PlatformTag.LINUX_X86_64:
            return f"lib{name}.so"
        case PlatformTag.WINDOWS_AMD64:
            return f"{name}.lib"
        case _:
            assert_never(system)
