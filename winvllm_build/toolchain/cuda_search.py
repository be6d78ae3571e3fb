"""Where a CUDA toolkit may be, best first."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from typing_extensions import assert_never

from winvllm_build import process
from winvllm_build.cuda_home import above_bin
from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.registry import Registry, text
from winvllm_build.toolchain.system import program

VARIABLES: Final = ("CUDA_HOME", "CUDA_PATH")
VERSIONED: Final = re.compile(r"CUDA_PATH_V(\d+)_(\d+)", re.IGNORECASE)
WINDOWS_FOLDER: Final = "NVIDIA GPU Computing Toolkit/CUDA"
REGISTERED: Final = r"HKLM\SOFTWARE\NVIDIA Corporation\GPU Computing Toolkit\CUDA"
"""Has a key for each installed version (`v13.0`), whose `InstallDir` is the folder that the user chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A compiler that may do.

    Attributes:
        nvcc: the program; it may be missing.
        named_by: what points at it, for messages.
    """

    nvcc: Path
    named_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What the search looks at; a test hands in its own.

    Attributes:
        environment: variables that name toolkits, and PATH.
        installed: folders that the installer wrote down, newest first.
        roots: folders that hold toolkits by convention (`cuda-13.0`, `v13.0`).
        sites: site-packages folders that may hold NVIDIA's wheels.
    """

    environment: Mapping[str, str]
    installed: tuple[Path, ...] = ()
    roots: tuple[Path, ...] = ()
    sites: tuple[Path, ...] = field(default=())


def machine_places(
    environment: Mapping[str, str], system: PlatformTag, *, sites: Sequence[Path], registry: Registry
) -> Places:
    """This machine's environment, what its registry says, and conventional folders."""
    match system:
        case PlatformTag.LINUX_X86_64:
            roots = [Path("/usr/local"), Path("/opt")]
        case PlatformTag.WINDOWS_AMD64:
            programs = environment.get("PROGRAMFILES", r"C:\Program Files")
            roots = [Path(programs) / WINDOWS_FOLDER]
        case _:
            assert_never(system)
    return Places(
        environment=environment, installed=registered(registry), roots=tuple(roots), sites=tuple(sites)
    )


def registered(registry: Registry) -> tuple[Path, ...]:
    """The folders of the toolkits that NVIDIA's installer registered, newest first."""
    keys = sorted(registry.subkeys(REGISTERED), key=_version, reverse=True)
    named = (text(registry, f"{REGISTERED}\\{key}", "InstallDir") for key in keys)
    return tuple(Path(folder) for folder in named if folder)


def named_candidate(home: Path, system: PlatformTag) -> Candidate:
    """The toolkit the user named in the profile.

    Raises:
        ToolchainError: the folder is the toolkit's `bin`, or holds no nvcc.
    """
    refuse_bin(home, "cuda.home")
    found = Candidate(nvcc=home / "bin" / program("nvcc", system), named_by="cuda.home of the profile")
    if not found.nvcc.is_file():
        raise ToolchainError(
            f"cuda.home = {home} is not a CUDA toolkit: there is no {found.nvcc}",
            fix="set cuda.home to the toolkit's folder (the one that contains bin), or to auto",
        )
    return found


def candidates(places: Places, system: PlatformTag) -> list[Candidate]:
    """Every toolkit the machine points at, each once, in the order of trust.

    Raises:
        ToolchainError: a variable names a toolkit's `bin` folder.
    """
    once: dict[Path, Candidate] = {}
    for found in every_candidate(places, system):
        once.setdefault(found.nvcc, found)
    return list(once.values())


def every_candidate(places: Places, system: PlatformTag, *, strict: bool = True) -> list[Candidate]:
    """As `candidates`, one for everything that points at a toolkit.

    Args:
        places: where to look.
        system: how programs are named.
        strict: refuse a variable that names a `bin` folder; else the folder above counts.

    Raises:
        ToolchainError: a variable names a toolkit's `bin` folder.
    """
    return [
        *_from_variables(places.environment, system, strict=strict),
        *_from_path(places.environment, system),
        *_from_registry(places.installed, system),
        *_from_roots(places.roots, system),
        *_from_wheels(places.sites, system),
    ]


def refuse_bin(home: Path, named_by: str) -> None:
    """Refuse a folder that nothing finds a toolkit in.

    Raises:
        ToolchainError: `home` ends in `bin`.
    """
    above = above_bin(str(home))
    if above is not None:
        raise ToolchainError(
            f"{named_by} = {home} names the toolkit's bin folder; the toolkit is the folder above",
            fix=f"set {named_by} to {above}",
        )


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that name toolkits and are set, in the order in which they count."""
    versioned = [(_version(name), name) for name in environment if VERSIONED.fullmatch(name)]
    ordered = [*VARIABLES, *(name for _, name in sorted(versioned, reverse=True))]
    values = {name: environment.get(name, "").strip().strip('"') for name in ordered}
    return {name: value for name, value in values.items() if value}


def _from_variables(
    environment: Mapping[str, str], system: PlatformTag, *, strict: bool
) -> Iterator[Candidate]:
    for name, value in variables(environment).items():
        if strict:
            refuse_bin(Path(value), name)
        home = Path(above_bin(value) or value)
        yield Candidate(nvcc=home / "bin" / program("nvcc", system), named_by=name)


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", name))


def _from_path(environment: Mapping[str, str], system: PlatformTag) -> Iterator[Candidate]:
    """Every nvcc on PATH: the first one, which other programs take, may be the wrong version."""
    named_by = "PATH"
    for folder in environment.get("PATH", "").split(os.pathsep):
        found = process.which(program("nvcc", system), path=folder) if folder else None
        if found is not None:
            yield Candidate(nvcc=found, named_by=named_by)
            named_by = "PATH, behind another"


def _from_registry(installed: Sequence[Path], system: PlatformTag) -> Iterator[Candidate]:
    for home in installed:
        yield Candidate(nvcc=home / "bin" / program("nvcc", system), named_by="the registry")


def _from_roots(roots: Sequence[Path], system: PlatformTag) -> Iterator[Candidate]:
    """Newest first; a link like `cuda` comes after the folders with a version."""
    for root in roots:
        found = [home for pattern in ("cuda*", "v[0-9]*") for home in root.glob(pattern)]
        for home in sorted(found, key=lambda home: _version(home.name), reverse=True):
            nvcc = home / "bin" / program("nvcc", system)
            if nvcc.is_file():
                yield Candidate(nvcc=nvcc, named_by=str(root))


def _from_wheels(sites: Sequence[Path], system: PlatformTag) -> Iterator[Candidate]:
    for site in sites:
        for home in sorted((site / "nvidia").glob("cu[0-9]*"), reverse=True):
            nvcc = home / "bin" / program("nvcc", system)
            if nvcc.is_file():
                yield Candidate(nvcc=nvcc, named_by=f"the NVIDIA wheels in {site}")
