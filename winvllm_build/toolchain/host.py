"""The host C++ compiler nvcc works with, checked against the range the toolkit itself states."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from packaging.version import Version
from typing_extensions import assert_never

from winvllm_build import process
from winvllm_build.errors import ToolchainError

LIMITS_HEADER: Final = "include/crt/host_config.h"
SECONDS: Final = 30.0
CACHES: Final = ("ccache", "sccache", "distcc")
GNU_NAMES: Final = ("g++", "c++", "clang++")
OLDER_GNU: Final = tuple(f"g++-{major}" for major in range(15, 9, -1))
GNU_MACRO: Final = re.compile(r"^#define (__\w+__) (\d+)\s*$", re.MULTILINE)
GNU_ABOVE: Final = re.compile(r"^\s*#\s*if\s+__GNUC__\s*>\s*(\d+)\s*$", re.MULTILINE)
CLANG_FROM: Final = re.compile(r"^\s*#\s*if\s+\(__clang_major__\s*>=\s*(\d+)\)", re.MULTILINE)
MSVC_RANGE: Final = re.compile(
    r"^\s*#\s*if\s+_MSC_VER\s*<\s*(\d+)\s*\|\|\s*_MSC_VER\s*>=\s*(\d+)", re.MULTILINE
)
INSTALL: Final = "install one: `sudo apt install g++` (Debian, Ubuntu), `sudo dnf install gcc-c++` (Fedora)"


class HostKind(Enum):
    GCC = "gcc"
    CLANG = "clang"
    MSVC = "msvc"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCompiler:
    """A compiler that answered.

    Attributes:
        c: the C compiler of the same installation, where there is one.
        version: of GCC or Clang; for MSVC the 19.44 of `cl`, whose `_MSC_VER` is 1944.
        environment: the complete environment it needs; empty where any does.
        librarian: what makes an import library (`lib`); the compiler itself elsewhere.
    """

    kind: HostKind
    cxx: Path
    c: Path | None
    version: Version
    librarian: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.kind.value} {self.version} ({self.cxx})"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLimits:
    """The host compilers a toolkit accepts; None where its header states no limit.

    Attributes:
        gcc_newest: the newest major version of GCC.
        clang_below: the first major version of Clang that is refused.
        msvc: the oldest `_MSC_VER` and the first that is refused.
    """

    gcc_newest: int | None = None
    clang_below: int | None = None
    msvc: tuple[int, int] | None = None


def parse_limits(header: str) -> HostLimits:
    """The limits in the text of a toolkit's `crt/host_config.h`, which is what nvcc itself enforces."""
    gcc, clang, msvc = GNU_ABOVE.search(header), CLANG_FROM.search(header), MSVC_RANGE.search(header)
    return HostLimits(
        gcc_newest=int(gcc.group(1)) if gcc else None,
        clang_below=int(clang.group(1)) if clang else None,
        msvc=(int(msvc.group(1)), int(msvc.group(2))) if msvc else None,
    )


def read_limits(cuda_home: Path) -> HostLimits:
    try:
        return parse_limits((cuda_home / LIMITS_HEADER).read_text("utf-8", "replace"))
    except OSError:
        return HostLimits()


def misfit(kind: HostKind, version: Version, limits: HostLimits) -> str | None:
    """Why this nvcc refuses the compiler, or None."""
    match kind:
        case HostKind.GCC:
            newest = limits.gcc_newest
            if newest is not None and version.major > newest:
                return f"this nvcc takes GCC up to {newest}"
        case HostKind.CLANG:
            below = limits.clang_below
            if below is not None and version.major >= below:
                return f"this nvcc takes Clang below {below}"
        case HostKind.MSVC:
            number = version.major * 100 + version.minor
            if limits.msvc is not None and not limits.msvc[0] <= number < limits.msvc[1]:
                return f"this nvcc takes _MSC_VER {limits.msvc[0]} to {limits.msvc[1] - 1}, cl has {number}"
        case _:
            assert_never(kind)
    return None


def find_gnu(
    environment: Mapping[str, str],
    limits: HostLimits,
    *,
    ask: Callable[[Path], HostCompiler] | None = None,
) -> HostCompiler:
    """CXX if it is set, else the first compiler on PATH that this nvcc accepts.

    Raises:
        ToolchainError: there is none, or none that nvcc accepts; each one tried is listed.
    """
    ask = ask or ask_gnu
    path = search_path(environment)
    chosen = environment.get("CXX", "").strip()
    if chosen:
        return _accepted(ask(_named(chosen, path)), limits)
    tried: list[str] = []
    for name in (*GNU_NAMES, *OLDER_GNU):
        found = process.which(name, path=path)
        if found is None:
            continue
        try:
            return _accepted(ask(found), limits)
        except ToolchainError as error:
            tried.append(f"  {error.message}")
    if not tried:
        raise ToolchainError("no C++ compiler on PATH (looked for g++, c++, clang++)", fix=INSTALL)
    raise ToolchainError(
        "\n".join(["no C++ compiler that nvcc can work with:", *dict.fromkeys(tried)]), fix=INSTALL
    )


def search_path(environment: Mapping[str, str]) -> str:
    """PATH without the folders in which compiler caches pose as compilers."""
    folders = environment.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(f for f in folders if f and Path(f).name.lower() not in CACHES)


def ask_gnu(cxx: Path) -> HostCompiler:
    """Ask a GCC or Clang for its predefined macros.

    Raises:
        ToolchainError: it is neither, or does not run.
    """
    done = process.capture([cxx, "-dM", "-E", "-x", "c++", "-"], timeout=SECONDS)
    if done.code != 0:
        said = done.error_text.splitlines()
        raise ToolchainError(
            f"{cxx} ended with exit code {done.code}" + (f": {said[0]}" if said else ""), fix=INSTALL
        )
    identity = parse_macros(done.text)
    if identity is None:
        raise ToolchainError(f"{cxx} is neither GCC nor Clang", fix=INSTALL)
    kind, version = identity
    return HostCompiler(kind=kind, cxx=cxx, c=_c_compiler(cxx), version=version, librarian=cxx)


def parse_macros(text: str) -> tuple[HostKind, Version] | None:
    """Kind and version from `-dM -E`; Clang defines GCC's macros too."""
    macros = dict(GNU_MACRO.findall(text.replace("\r", "")))
    for kind, names in (
        (HostKind.CLANG, ("__clang_major__", "__clang_minor__", "__clang_patchlevel__")),
        (HostKind.GCC, ("__GNUC__", "__GNUC_MINOR__", "__GNUC_PATCHLEVEL__")),
    ):
        if all(name in macros for name in names):
            return kind, Version(".".join(macros[name] for name in names))
    return None


def _named(chosen: str, path: str) -> Path:
    found = process.which(chosen, path=path)
    if found is None:
        raise ToolchainError(
            f"CXX={chosen} names no program (arguments and compiler caches do not belong there)",
            fix="unset CXX, or set it to the compiler's full path",
        )
    return found


def _accepted(found: HostCompiler, limits: HostLimits) -> HostCompiler:
    reason = misfit(found.kind, found.version, limits)
    if reason is not None:
        raise ToolchainError(f"{found}: {reason}", fix="install an older compiler and set CXX to it")
    return found


def _c_compiler(cxx: Path) -> Path | None:
    """`gcc-12` beside `g++-12`, `clang` beside `clang++`, `cc` beside `c++`."""
    pairs: Sequence[tuple[str, str]] = (("clang++", "clang"), ("g++", "gcc"), ("c++", "cc"))
    for plus, plain in pairs:
        if cxx.name.startswith(plus):
            beside = cxx.with_name(plain + cxx.name[len(plus) :])
            return beside if beside.is_file() else None
    return None
