"""Environment variables that change what a compiler or linker makes of the same command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from winvllm_build.build.store.places import Places

DECIDING: Final = re.compile(
    r"CPATH|C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|OBJC_INCLUDE_PATH|COMPILER_PATH|LIBRARY_PATH|GCC_EXEC_PREFIX"
    r"|GCC_\w+|SOURCE_DATE_EPOCH|DEPENDENCIES_OUTPUT|SUNPRO_DEPENDENCIES|CCC_OVERRIDE_OPTIONS"
    r"|NVCC_\w+|NVVM\w*|CICC_PATH|CUDAHOSTCXX|CUDAFE_FLAGS|LD_RUN_PATH|LDEMULATION|ZERO_AR_DATE"
    r"|INCLUDE|EXTERNAL_INCLUDE|LIB|LIBPATH|CL|_CL_|LINK|_LINK_|VSLANG|VCTOOLSVERSION|WINDOWSSDKVERSION|UCRTVERSION",
    re.IGNORECASE,
)
SEARCHED: Final = ("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "INCLUDE", "EXTERNAL_INCLUDE")
LIBRARIES: Final = ("LIB", "LIBRARY_PATH")


def deciding(environment: Mapping[str, str], places: Places, *, separator: str) -> list[str]:
    """The assignments that count, sorted, folders named."""
    found: list[str] = []
    for name, value in sorted(environment.items()):
        if DECIDING.fullmatch(name) and value:
            parts = [places.named(part) for part in value.split(separator)]
            found.append(f"{name.upper()}={separator.join(parts)}")
    return found


def folders(environment: Mapping[str, str], names: tuple[str, ...], *, separator: str) -> list[str]:
    """The folders that the environment adds to those a command searches."""
    upper = {name.upper(): value for name, value in environment.items()}
    return [part for name in names for part in upper.get(name, "").split(separator) if part]
