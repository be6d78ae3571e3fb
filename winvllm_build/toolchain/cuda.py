"""The CUDA toolkit: an installed one that fits, else one laid down from NVIDIA's wheels."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build import cuda_home, short_root
from winvllm_build.errors import StorageError, ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain import nvcc
from winvllm_build.toolchain.cuda_search import Candidate, Places, candidates, named_candidate
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.system import link_library, short_name
from winvllm_build.toolchain.torch import Torch

MARKS: Final = " ;,'$`#&()!^{}[]"
"""What cuts a path in flags and may stand in a name on Windows."""
RUNTIME_HEADER: Final = "include/cuda_runtime.h"
LIBRARY_FOLDERS: Final = ("lib64", "lib", "lib/x64", "targets/x86_64-linux/lib")
STUB_FOLDERS: Final = tuple(f"{folder}/stubs" for folder in LIBRARY_FOLDERS)


class CudaOrigin(Enum):
    """INSTALLED: somebody else's folder, never written to. LAID_DOWN: ours, from NVIDIA's wheels."""

    INSTALLED = "installed"
    LAID_DOWN = "laid down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A toolkit that was found and not taken."""

    path: Path
    named_by: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} ({self.named_by}): {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CudaToolkit:
    """A toolkit that fits.

    Attributes:
        home: CUDA_HOME; on Windows without blanks where the file system has a short name for it.
        nvcc: the compiler itself, not a wrapper around it.
        architectures: compute capabilities this nvcc compiles for, ascending: "7.5", "8.0", ...
        include_dirs: headers the toolkit lacks, in a folder of ours.
        libraries: libraries the toolkit lacks, by CMake variable (`CUDA_nvrtc_LIBRARY`).
        problems: what still is missing; nothing for a complete toolkit.
    """

    home: Path
    nvcc: Path
    version: Version
    architectures: tuple[str, ...]
    origin: CudaOrigin
    named_by: str
    rejections: tuple[Rejection, ...] = ()
    include_dirs: tuple[Path, ...] = ()
    libraries: Mapping[str, Path] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def short_version(self) -> str:
        """As torch spells it: 13.0."""
        return f"{self.version.major}.{self.version.minor}"

    def has_header(self, name: str) -> bool:
        """Whether `include/...` is in the toolkit itself."""
        return (self.home / name).is_file()

    def has_library(self, name: str, system: PlatformTag) -> bool:
        """Whether a linker finds the shared library, or a stub for it, in the toolkit itself."""
        file = link_library(name, system)
        return any((self.home / folder / file).is_file() for folder in (*LIBRARY_FOLDERS, *STUB_FOLDERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which toolkit will do: what is asked for, and what an installed torch leaves of it."""

    request: ToolchainRequest
    torch: Torch | None = None

    @property
    def major(self) -> int | None:
        """The major version the toolkit has to have; None: any that is asked for."""
        return None if self.torch is None else self.torch.cuda_major

    @property
    def because(self) -> str:
        """Why only one major version will do; empty where any will."""
        if self.torch is None or self.major is None:
            return ""
        return (
            f"the installed torch {self.torch.version} is built with CUDA {self.torch.cuda}, "
            "and their major versions have to be equal"
        )

    @property
    def fix(self) -> str:
        """What to do where only torch's major version will do; empty where any will."""
        if self.major is None:
            return ""
        return (
            f"install a CUDA {self.major}.x toolkit that fits, then set cuda.home (or CUDA_HOME) to its "
            'folder; or, to check only that everything compiles, set torch.source = "headers"'
        )

    def __str__(self) -> str:
        if self.major is not None:
            return f"CUDA {self.major}.x"
        asked = str(self.request.cuda_version)
        return f"CUDA {asked}" if asked else "CUDA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What the search for an installed toolkit found: at most one that fits, and why not the others."""

    toolkit: CudaToolkit | None
    rejections: tuple[Rejection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What is known of a compiler once it was asked.

    Attributes:
        said: None where it does not answer.
        reason: why a build leaves it; empty where it will do.
        is_broken: it is left whatever a build asks for.
    """

    said: nvcc.Nvcc | None = None
    reason: str = ""
    is_broken: bool = False


def find_installed(
    wanted: Wanted,
    places: Places,
    system: PlatformTag,
    *,
    ask: Callable[[Path], nvcc.Nvcc] = nvcc.ask,
) -> Search:
    """The first installed toolkit that fits.

    Raises:
        ToolchainError: the one the user named is broken or does not fit; a variable names a `bin` folder.
    """
    home = wanted.request.cuda_home
    if home is not None:
        return Search(toolkit=_named(wanted, home, system, ask), rejections=())
    rejections: list[Rejection] = []
    for candidate in candidates(places, system):
        found = examine(candidate, wanted, system, ask)
        if found.said is not None and not found.reason:
            toolkit = _toolkit(candidate, found.said)
            return Search(
                toolkit=replace(toolkit, rejections=tuple(rejections)), rejections=tuple(rejections)
            )
        rejections.append(Rejection(path=candidate.nvcc, named_by=candidate.named_by, reason=found.reason))
    return Search(toolkit=None, rejections=tuple(rejections))


def misfit(wanted: Wanted, version: Version, architectures: tuple[str, ...]) -> str | None:
    """Why a toolkit of this version does not do, or None."""
    request = wanted.request
    if wanted.major is not None and version.major != wanted.major:
        return f"CUDA {version} is not {wanted.major}.x; {wanted.because}"
    if not request.cuda_version.contains(version, prereleases=True):
        return f"CUDA {version} is not {request.cuda_version}"
    missing = [number for number in request.capabilities if number not in architectures]
    if missing:
        return (
            f"CUDA {version} does not compile for {', '.join(missing)} (it lists {', '.join(architectures)})"
        )
    return None


def under_plain_name(toolkit: CudaToolkit) -> CudaToolkit:
    """The toolkit by a path that upstream's flags survive, as far as Windows has one.

    Its 8.3 name where the volume keeps one, else a junction or a drive letter, which is made; on Linux, and
    where Windows refuses both, the toolkit as it is.
    """
    home = short_name(toolkit.home, marks=MARKS)
    if sys.platform == "win32":
        with contextlib.suppress(StorageError):
            home = short_root.without(cuda_home.first_mark, home)
    return replace(toolkit, home=home, nvcc=home / "bin" / toolkit.nvcc.name)


def nothing_fits(wanted: Wanted, rejections: tuple[Rejection, ...], why: str) -> ToolchainError:
    """No toolkit was found and none can be laid down: everything that was looked at, and what to do."""
    lines = [f"no {wanted} toolkit for {', '.join(wanted.request.architectures)}: {why}"]
    lines += [f"  rejected {rejection}" for rejection in rejections]
    return ToolchainError(
        "\n".join(lines),
        fix=wanted.fix or "install a CUDA toolkit that fits, then set cuda.home (or CUDA_HOME) to its folder",
    )


def examine(
    candidate: Candidate, wanted: Wanted, system: PlatformTag, ask: Callable[[Path], nvcc.Nvcc]
) -> Examined:
    """What a build and a doctor think of a compiler alike."""
    if not cuda_home.is_there(candidate.nvcc):
        return Examined(reason=f"there is no bin/{candidate.nvcc.name}", is_broken=True)
    try:
        said = ask(candidate.nvcc)
    except ToolchainError as error:
        return Examined(reason=error.message, is_broken=True)
    unfit = misfit(wanted, said.version, said.architectures)
    lacks = None if unfit is not None else _lacks(_toolkit(candidate, said), system)
    return Examined(said=said, reason=unfit or lacks or "", is_broken=lacks is not None)


def _lacks(found: CudaToolkit, system: PlatformTag) -> str | None:
    if not found.has_header(RUNTIME_HEADER):
        return f"{found.home} has no {RUNTIME_HEADER}"
    if not found.has_library("cudart", system):
        return f"{found.home} has no {link_library('cudart', system)} to link with"
    return None


def _named(wanted: Wanted, home: Path, system: PlatformTag, ask: Callable[[Path], nvcc.Nvcc]) -> CudaToolkit:
    candidate = named_candidate(home, system)
    found = examine(candidate, wanted, system, ask)
    if found.said is None:
        raise ToolchainError(found.reason, fix=nvcc.FIX)
    if found.reason:
        rejection = Rejection(path=candidate.nvcc, named_by=candidate.named_by, reason=found.reason)
        raise ToolchainError(
            f"the toolkit named in the profile does not fit: {rejection}",
            fix=wanted.fix or "set cuda.home to another toolkit or to auto, or change the arch list",
        )
    return _toolkit(candidate, found.said)


def _toolkit(candidate: Candidate, said: nvcc.Nvcc) -> CudaToolkit:
    return CudaToolkit(
        home=said.home,
        nvcc=said.program,
        version=said.version,
        architectures=said.architectures,
        origin=CudaOrigin.INSTALLED,
        named_by=candidate.named_by,
    )
