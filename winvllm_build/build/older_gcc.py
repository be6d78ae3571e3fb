"""Upstream's refusal of an older GCC, set aside where no target is built that needs a newer one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build.toolchain.host import HostCompiler, HostKind
from winvllm_build.workspace import storage_errors, write_atomic

REFUSAL: Final = b"GCC >= 13 is required"
"""v0.33.0 stops for the sake of two projects that need <format>, whatever is to be compiled."""
ENOUGH: Final = Version("13")
INCLUDED: Final = f"""\
# Read after each project(): audits compile nothing of what needs the newer compiler.
set(CMAKE_CXX_COMPILER_VERSION {ENOUGH})
"""


def definitions(tree: Path, host: HostCompiler, build: Path) -> dict[str, str]:
    """What makes CMake go on where the tree refuses the compiler for its age; mostly nothing.

    Args:
        tree: upstream's files, patched or not.
        host: the compiler.
        build: the build folder; the file that CMake includes goes beside it.

    Raises:
        StorageError: it cannot be written.
    """
    lists = tree / "CMakeLists.txt"
    if host.kind is not HostKind.GCC or host.version >= ENOUGH:
        return {}
    if not lists.is_file() or REFUSAL not in lists.read_bytes():
        return {}
    file = build.with_name(f"{build.name}.older-gcc.cmake")
    with storage_errors(str(file)):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, INCLUDED.encode())
    return {"CMAKE_PROJECT_INCLUDE": file.as_posix()}
