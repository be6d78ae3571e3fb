"""The parts of a toolchain that need this machine and the index: toolkit, host compiler, torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from packaging.version import Version
from typing_extensions import assert_never

from winvllm_build.choices import TorchSource
from winvllm_build.errors import OfflineError, ToolchainError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain import cuda as cuda_room
from winvllm_build.toolchain import cuda_overlay, cuda_wheels, nvcc, torch_headers
from winvllm_build.toolchain import torch as torch_room
from winvllm_build.toolchain.cuda import CudaOrigin, CudaToolkit
from winvllm_build.toolchain.cuda_search import Places, machine_places
from winvllm_build.toolchain.environment import allowed
from winvllm_build.toolchain.host import HostCompiler, HostLimits, find_gnu, read_limits
from winvllm_build.toolchain.msvc import find_msvc
from winvllm_build.toolchain.python import TargetPython
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.system import program
from winvllm_build.toolchain.torch import Torch
from winvllm_build.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What discovery works in and with; a test hands in its own machine."""

    workspace: Workspace
    index: Index
    on_event: Callable[[str], None]
    system: PlatformTag
    environment: Mapping[str, str]
    places: Places | None = None


def find_toolkit(request: ToolchainRequest, around: Surroundings, python: TargetPython | None) -> CudaToolkit:
    """An installed toolkit that fits, else one laid down from wheels."""
    sites = python.sites if python is not None else ()
    places = around.places or machine_places(around.environment, around.system, sites=sites)
    ask = functools.partial(nvcc.ask, env=allowed(around.environment))
    search = cuda_room.find_installed(request, places, around.system, ask=ask)
    if search.toolkit is not None:
        return cuda_room.without_blanks(search.toolkit)
    pins = cuda_wheels.read_pins(around.system)
    if not request.allow_laydown:
        raise cuda_room.nothing_fits(request, search.rejections, "the profile does not allow to lay one down")
    if not request.cuda_version.contains(pins.version, prereleases=True):
        why = f"the one that can be laid down is {pins.version}"
        raise cuda_room.nothing_fits(request, search.rejections, why)
    for rejection in search.rejections:
        around.on_event(f"not taken: {rejection}")
    try:
        home = cuda_wheels.lay_down(
            pins, workspace=around.workspace, index=around.index, on_event=around.on_event
        )
    except OfflineError as error:
        missing = cuda_room.nothing_fits(request, search.rejections, "and NVIDIA's wheels cannot be fetched")
        raise OfflineError(f"{missing.message}\n{error.message}", fix=error.fix) from error
    said = ask(home / "bin" / program("nvcc", around.system))
    why_not = cuda_room.misfit(request, said.version, said.architectures)
    if why_not is not None:
        raise cuda_room.nothing_fits(request, search.rejections, why_not)
    laid_down = CudaToolkit(
        home=home,
        nvcc=said.program,
        version=said.version,
        architectures=said.architectures,
        origin=CudaOrigin.LAID_DOWN,
        named_by="NVIDIA's wheels",
        rejections=search.rejections,
    )
    return cuda_room.without_blanks(laid_down)


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
    because = "the profile asks for headers only"
    if request.torch_source is not TorchSource.HEADERS:
        installed = torch_room.find_installed(python, request)
        if isinstance(installed, Torch):
            mismatch = torch_room.major_mismatch(installed, cuda)
            if mismatch is not None:
                raise mismatch
            return installed
        because = installed
        if request.torch_source is TorchSource.INSTALLED:
            raise ToolchainError(
                f"torch.source is installed, but {because}",
                fix=f"{python.executable} -m pip install torch=={request.torch_version}",
            )
    return torch_headers.lay_down(
        torch_headers.read_pin(request.torch_version, around.system),
        host=host,
        because=because,
        installed=torch_room.same_release_package(python, request),
        workspace=around.workspace,
        index=around.index,
        on_event=around.on_event,
    )
