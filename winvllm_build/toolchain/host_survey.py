"""Every host C++ compiler of a machine, each with why nvcc does not take it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain.host import (
    GNU_NAMES,
    OLDER_GNU,
    HostKind,
    HostLimits,
    ask_gnu,
    misfit,
    search_path,
)
from winvllm_build.toolchain.visual_studio import MsvcTools, VisualStudio

THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCompiler:
    """A compiler that answered, or one whose version its folder tells (MSVC).

    Attributes:
        named_by: CXX, a name on PATH, or the Visual Studio that it belongs to.
        refusal: why nvcc does not take it, or what it lacks; empty where it will do.
    """

    path: Path
    kind: HostKind
    version: Version
    named_by: str
    refusal: str = ""


def survey_gnu(environment: Mapping[str, str], limits: HostLimits) -> tuple[FoundCompiler, ...]:
    """CXX and the GCCs and Clangs on PATH, in the order in which a build tries them."""
    path = search_path(environment)
    chosen = environment.get("CXX", "").strip()
    names = [*([chosen] if chosen else []), *GNU_NAMES, *OLDER_GNU]
    found = {name: process.which(name, path=path) for name in names}
    once: dict[Path, tuple[str, Path]] = {}
    for name, file in found.items():
        if file is not None:
            once.setdefault(file.resolve(), (name, file))
    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(lambda one: _asked(one[0], one[1], limits), once.values())
        return tuple(answer for answer in answers if answer is not None)


def survey_msvc(studios: Sequence[VisualStudio], limits: HostLimits) -> tuple[FoundCompiler, ...]:
    """Every set of tools of each Visual Studio, in the order in which a build tries them."""
    return tuple(_tools(studio, tools, limits) for studio in studios for tools in studio.tools)


def _tools(studio: VisualStudio, tools: MsvcTools, limits: HostLimits) -> FoundCompiler:
    missing = studio.lacks(tools)
    beside = "" if tools.is_default else f", tools {tools.version}"
    return FoundCompiler(
        path=tools.cl,
        kind=HostKind.MSVC,
        version=tools.compiler,
        named_by=f"{studio.installation.name} {studio.installation.version}{beside}",
        refusal=f"it lacks {', '.join(missing)}"
        if missing
        else misfit(HostKind.MSVC, tools.compiler, limits) or "",
    )


def _asked(name: str, file: Path, limits: HostLimits) -> FoundCompiler | None:
    try:
        said = ask_gnu(file)
    except ToolchainError:
        return None
    return FoundCompiler(
        path=file,
        kind=said.kind,
        version=said.version,
        named_by=name,
        refusal=misfit(said.kind, said.version, limits) or "",
    )
