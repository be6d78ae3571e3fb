"""The exact environment of CMake and the compilers: what is listed here gets in, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.cuda import CudaToolkit
from winvllm_build.toolchain.host import HostCompiler, HostKind, search_path
from winvllm_build.toolchain.python import TargetPython
from winvllm_build.toolchain.request import ToolchainRequest

ALLOWED: Final = frozenset({
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
    "ALLUSERSPROFILE", "APPDATA", "COMMONPROGRAMFILES", "COMMONPROGRAMFILES(X86)", "COMMONPROGRAMW6432",
    "COMPUTERNAME", "COMSPEC", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "NUMBER_OF_PROCESSORS", "OS",
    "PATHEXT", "PROCESSOR_ARCHITECTURE", "PROCESSOR_IDENTIFIER", "PROGRAMDATA", "PROGRAMFILES",
    "PROGRAMFILES(X86)", "PROGRAMW6432", "PUBLIC", "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "USERDOMAIN",
    "USERNAME", "USERPROFILE", "VSWHERE", "WINDIR",
})  # fmt: skip
"""Upper case; Windows does not tell case apart. Tokens, compiler flags, compiler launchers, other toolkits'
variables, `CMAKE_*`, `NVCC_*_FLAGS`, `PYTHONPATH` and what else changes a build unseen stay outside."""
ALLOWED_PREFIXES: Final = ("LC_", "WINVLLM_")


def allowed(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that programs need to run at all."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in ALLOWED or name.upper().startswith(ALLOWED_PREFIXES)
    }


def build_environment(
    base: Mapping[str, str],
    request: ToolchainRequest,
    *,
    cuda: CudaToolkit,
    host: HostCompiler,
    python: TargetPython,
    tools: Iterable[Path],
    python_path: Iterable[Path],
    system: PlatformTag,
) -> dict[str, str]:
    """What CMake, ninja and the compilers see.

    Args:
        base: the scrubbed environment of this process.
        request: its `environment` wins over everything.
        cuda: becomes CUDA_HOME and the first nvcc on PATH.
        host: its own environment replaces `base` (MSVC).
        python: its folder follows on PATH.
        tools: programs whose folders come first (cmake, ninja).
        python_path: folders for PYTHONPATH, besides the interpreter's own.
        system: whose variables.
    """
    found = dict(host.environment or base)
    path_name = next((name for name in found if name.upper() == "PATH"), "PATH")
    found[path_name] = joined_path(
        [cuda.nvcc.parent, *(tool.parent for tool in tools), python.executable.parent, host.cxx.parent],
        search_path({"PATH": found.get(path_name, "")}),
    )
    found["CUDA_HOME"] = found["CUDA_PATH"] = str(cuda.home)
    found["TORCH_CUDA_ARCH_LIST"] = ";".join(request.architectures)
    extra = os.pathsep.join(str(folder) for folder in python_path)
    if extra:
        found["PYTHONPATH"] = extra
    found["PYTHONDONTWRITEBYTECODE"] = "1"
    found |= _compilers(host, system)
    found.update(request.environment)
    return found


def joined_path(first: Iterable[Path], rest: str) -> str:
    """PATH with some folders in front, each folder once."""
    folders = [*(str(folder) for folder in first), *rest.split(os.pathsep)]
    return os.pathsep.join(dict.fromkeys(folder for folder in folders if folder))


def _compilers(host: HostCompiler, system: PlatformTag) -> dict[str, str]:
    """Not CUDAHOSTCXX with MSVC: torch's CMake then lets nvcc set up the compiler's environment once more."""
    if host.kind is HostKind.MSVC:
        return {"DISTUTILS_USE_SDK": "1", "VSLANG": "1033"}
    named = {"CXX": str(host.cxx)} | ({"CC": str(host.c)} if host.c is not None else {})
    return named | ({"CUDAHOSTCXX": str(host.cxx)} if system is PlatformTag.LINUX_X86_64 else {})
