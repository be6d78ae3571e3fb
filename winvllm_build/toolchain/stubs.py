"""Libraries to link against where the real ones are not there: a name for the linker, and no code.

A stub carries the real library's name, so what was linked with it loads the real library where there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from typing_extensions import assert_never

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.host import HostCompiler
from winvllm_build.toolchain.system import link_library

SECONDS: Final = 60.0
DECLARATION: Final = re.compile(r"\b((?:cublas|cublasLt|nvrtc)[A-Z]\w*)\s*\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """One library to make.

    Attributes:
        name: as in `-lname` or `name.lib`.
        soname: what a Linux loader will look for.
        dll: what a Windows loader will look for.
        exports: the functions a Windows import library has to list; Linux modules need none.
    """

    name: str
    soname: str
    dll: str
    exports: tuple[str, ...] = ()


def make(stub: Stub, folder: Path, *, host: HostCompiler, system: PlatformTag) -> Path:
    """Write the library into `folder`, with the host compiler's own tools.

    Raises:
        ToolchainError: the host compiler cannot make it.
    """
    target = folder / link_library(stub.name, system)
    match system:
        case PlatformTag.LINUX_X86_64:
            _run(
                [host.cxx, "-shared", "-nostdlib", "-x", "c++", "-", "-o", target,
                 f"-Wl,-soname,{stub.soname}"],
                host,
            )  # fmt: skip
        case PlatformTag.WINDOWS_AMD64:
            definition = folder / f"{stub.name}.def"
            definition.write_text(definition_file(stub), encoding="ascii", newline="\r\n")
            _run([host.librarian, "/nologo", "/machine:x64", f"/def:{definition}", f"/out:{target}"], host)
        case _:
            assert_never(system)
    return target


def definition_file(stub: Stub) -> str:
    """The module definition of an import library; names are undecorated, as x64 C functions are."""
    return "\n".join([f"LIBRARY {stub.dll}", "EXPORTS", *(f"    {name}" for name in stub.exports), ""])


def declared_functions(headers: Iterable[str]) -> tuple[str, ...]:
    """The library functions that NVIDIA's headers declare, sorted."""
    return tuple(sorted({name for text in headers for name in DECLARATION.findall(text)}))


def _run(args: list[str | Path], host: HostCompiler) -> None:
    done = process.capture(args, env=host.environment or None, timeout=SECONDS)
    if done.code != 0:
        raise ToolchainError(
            f"{args[0]} cannot make a shared library:\n{done.error_text or done.text.strip()}",
            fix="repair or reinstall the C++ compiler; it has to be able to link",
        )
