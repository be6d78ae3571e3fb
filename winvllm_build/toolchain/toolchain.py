"""Everything a build compiles with, found in one go; what is wrong is told all at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from packaging.version import Version
from typing_extensions import assert_never

from winvllm_build.errors import OfflineError, ToolchainError, WinvllmError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain import cuda as cuda_room
from winvllm_build.toolchain import cuda_overlay, cuda_wheels, nvcc, torch_headers
from winvllm_build.toolchain import torch as torch_room
from winvllm_build.toolchain.buildtools import find_cmake, find_ninja
from winvllm_build.toolchain.cuda import CudaOrigin, CudaToolkit
from winvllm_build.toolchain.cuda_search import Places, machine_places
from winvllm_build.toolchain.environment import allowed, build_environment
from winvllm_build.toolchain.host import HostCompiler, HostKind, HostLimits, find_gnu, read_limits
from winvllm_build.toolchain.msvc import find_msvc
from winvllm_build.toolchain.python import TargetPython, find_python
from winvllm_build.toolchain.request import ToolchainRequest, TorchSource
from winvllm_build.toolchain.system import program, this_system
from winvllm_build.toolchain.torch import Torch
from winvllm_build.workspace import Workspace

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """What a build compiles with; `environment` is complete."""

    cuda: CudaToolkit
    host: HostCompiler
    python: TargetPython
    torch: Torch
    cmake: Path
    ninja: Path
    environment: Mapping[str, str]
    system: PlatformTag

    def cmake_definitions(self) -> dict[str, str]:
        """The CMake cache entries that pin all of this; paths with forward slashes."""
        found = {
            "CMAKE_CUDA_COMPILER": self.cuda.nvcc.as_posix(),
            "CMAKE_CXX_COMPILER": self.host.cxx.as_posix(),
            "CUDA_TOOLKIT_ROOT_DIR": self.cuda.home.as_posix(),
            "VLLM_PYTHON_EXECUTABLE": self.python.executable.as_posix(),
        }
        if self.host.kind is not HostKind.MSVC:
            found["CMAKE_CUDA_HOST_COMPILER"] = self.host.cxx.as_posix()
        for name, library in self.cuda.libraries.items():
            found[name] = library.as_posix()
        if self.cuda.include_dirs:
            folders = ";".join(folder.as_posix() for folder in self.cuda.include_dirs)
            found["CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES"] = folders
            found["CMAKE_CUDA_STANDARD_INCLUDE_DIRECTORIES"] = folders
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What discovery works in and with; a test hands in its own machine."""

    workspace: Workspace
    index: Index
    on_event: Callable[[str], None]
    system: PlatformTag
    environment: Mapping[str, str]
    places: Places | None = None


class Problems:
    """Collects what goes wrong, so that independent problems are told together."""

    def __init__(self) -> None:
        self._errors: list[WinvllmError] = []

    def attempt(self, step: Callable[[], Found]) -> Found | None:
        """The step's result, or None and its error kept."""
        try:
            return step()
        except WinvllmError as error:
            self._errors.append(error)
            return None

    def error(self) -> WinvllmError:
        """One error for all: the only one as it is, several in one list with a fix each."""
        if len(self._errors) == 1:
            return self._errors[0]
        kind = OfflineError if all(isinstance(e, OfflineError) for e in self._errors) else ToolchainError
        lines = [f"{number}. {error}" for number, error in enumerate(self._errors, 1)]
        return kind(f"{len(lines)} problems with the toolchain:\n" + "\n".join(lines))


def discover(
    request: ToolchainRequest,
    *,
    workspace: Workspace,
    index: Index,
    on_event: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
    places: Places | None = None,
) -> Toolchain:
    """Find, and where the request allows it lay down, everything a build needs.

    Args:
        request: what the profile and the tag ask for.
        workspace: where toolkits, headers and stubs of ours live.
        index: where they come from.
        on_event: told what is done and what was found and not taken.
        environment: this process's variables; only those allowed are handed on.
        places: where to look for toolkits; None is this machine's.

    Raises:
        ToolchainError: something is missing or does not fit; all of it is listed.
        OfflineError: only the network was missing.
        SourceError: the index has other files than the pinned ones.
        StorageError: the workspace cannot be written.
    """
    around = Surroundings(
        workspace=workspace,
        index=index,
        on_event=on_event,
        system=this_system(),
        environment=dict(os.environ) if environment is None else environment,
        places=places,
    )
    return _discover(request, around)


def _discover(request: ToolchainRequest, around: Surroundings) -> Toolchain:
    base = allowed(around.environment)
    problems = Problems()
    cmake = problems.attempt(lambda: find_cmake(base, around.system))
    ninja = problems.attempt(lambda: find_ninja(base, around.system))
    python = problems.attempt(
        lambda: find_python(request, workspace=around.workspace, system=around.system, env=base)
    )
    cuda = problems.attempt(lambda: find_toolkit(request, around, python))
    host = problems.attempt(lambda: find_host(around, base, cuda))
    if cmake is None or ninja is None or python is None or cuda is None or host is None:
        raise problems.error()
    completed = problems.attempt(lambda: complete_toolkit(cuda, host, around))
    torch = problems.attempt(lambda: find_torch(request, python, host, cuda.version, around))
    if completed is None or torch is None:
        raise problems.error()
    return Toolchain(
        cuda=completed,
        host=host,
        python=python,
        torch=torch,
        cmake=cmake.path,
        ninja=ninja.path,
        system=around.system,
        environment=build_environment(
            base,
            request,
            cuda=completed,
            host=host,
            python=python,
            tools=(cmake.path, ninja.path),
            python_path=() if torch.import_path is None else (torch.import_path,),
            system=around.system,
        ),
    )


def find_toolkit(request: ToolchainRequest, around: Surroundings, python: TargetPython | None) -> CudaToolkit:
    """An installed toolkit that fits, else one laid down from wheels."""
    sites = python.sites if python is not None else ()
    places = around.places or machine_places(around.environment, around.system, sites=sites)
    search = cuda_room.find_installed(request, places, around.system)
    for rejection in search.rejections:
        around.on_event(f"not taken: {rejection}")
    if search.toolkit is not None:
        return search.toolkit
    pins = cuda_wheels.read_pins(around.system)
    if not request.allow_laydown:
        raise cuda_room.nothing_fits(request, search.rejections, "the profile does not allow to lay one down")
    if not request.cuda_version.contains(pins.version, prereleases=True):
        why = f"the one that can be laid down is {pins.version}"
        raise cuda_room.nothing_fits(request, search.rejections, why)
    home = cuda_wheels.lay_down(
        pins, workspace=around.workspace, index=around.index, on_event=around.on_event
    )
    said = nvcc.ask(home / "bin" / program("nvcc", around.system), env=allowed(around.environment))
    why_not = cuda_room.misfit(request, said.version, said.architectures)
    if why_not is not None:
        raise cuda_room.nothing_fits(request, search.rejections, why_not)
    return CudaToolkit(
        home=home,
        nvcc=said.program,
        version=said.version,
        architectures=said.architectures,
        origin=CudaOrigin.LAID_DOWN,
        named_by="NVIDIA's wheels",
        rejections=search.rejections,
    )


def find_host(around: Surroundings, base: Mapping[str, str], cuda: CudaToolkit | None) -> HostCompiler:
    """The host compiler; without a toolkit any version does, so that its absence is told as well."""
    limits = HostLimits() if cuda is None else read_limits(cuda.home)
    match around.system:
        case PlatformTag.LINUX_X86_64:
            named = {name: value for name, value in around.environment.items() if name == "CXX"}
            return find_gnu({**base, **named}, limits)
        case PlatformTag.WINDOWS_AMD64:
            return find_msvc(base, limits, around.workspace)
        case _:
            assert_never(around.system)


def complete_toolkit(cuda: CudaToolkit, host: HostCompiler, around: Surroundings) -> CudaToolkit:
    """The toolkit with an overlay for headers and libraries it lacks."""
    return cuda_overlay.complete(
        cuda,
        pins=cuda_wheels.read_pins(around.system),
        host=host,
        workspace=around.workspace,
        index=around.index,
        on_event=around.on_event,
    )


def find_torch(
    request: ToolchainRequest, python: TargetPython, host: HostCompiler, cuda: Version, around: Surroundings
) -> Torch:
    """The environment's CUDA torch of the pinned version; else the headers of the wheel the tag pins.

    A CPU torch of the right version is not preferred to the wheel's headers: those are a CUDA build's own.
    It stands in only where the index does not answer.
    """
    installed = None
    if request.torch_source is not TorchSource.HEADERS:
        installed = torch_room.find_installed(python, request)
        if isinstance(installed, Torch):
            mismatch = torch_room.major_mismatch(installed, cuda)
            if mismatch is not None:
                raise mismatch
            return installed
        if request.torch_source is TorchSource.INSTALLED:
            raise ToolchainError(
                f"torch.source is installed, but {installed}",
                fix=f"{python.executable} -m pip install torch=={request.torch_version}",
            )
        around.on_event(f"{installed}: taking the headers of the wheel instead")
    return torch_headers.lay_down(
        torch_headers.read_pin(request.torch_version, around.system),
        host=host,
        installed=torch_room.same_release_package(python, request),
        workspace=around.workspace,
        index=around.index,
        on_event=around.on_event,
    )
