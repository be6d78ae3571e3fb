"""The parts of a toolchain that need this machine and the index: toolkit, host compiler, torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import assert_never

from winvllm_build.choices import TorchSource
from winvllm_build.errors import OfflineError, ToolchainError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.registry import machine_registry
from winvllm_build.toolchain import cuda as cuda_room
from winvllm_build.toolchain import cuda_overlay, cuda_wheels, msvc, nvcc, torch_headers, windows_sdk
from winvllm_build.toolchain import torch as torch_room
from winvllm_build.toolchain.cuda import CudaOrigin, CudaToolkit, Search, Wanted
from winvllm_build.toolchain.cuda_search import Places, machine_places
from winvllm_build.toolchain.cuda_wheels import ToolkitPins
from winvllm_build.toolchain.environment import allowed
from winvllm_build.toolchain.host import HostCompiler, HostLimits, find_gnu, read_limits
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


def find_toolkit(
    request: ToolchainRequest,
    around: Surroundings,
    python: TargetPython | None,
    torch: Torch | None,
) -> CudaToolkit:
    """An installed toolkit that fits, else one laid down from wheels.

    Args:
        request: what is asked for.
        around: where to look and to lay down.
        python: its site-packages may hold NVIDIA's wheels.
        torch: the installed torch that will be used; the toolkit has to have its major version.
    """
    wanted = Wanted(request=request, torch=torch)
    sites = python.sites if python is not None else ()
    places = around.places or machine_places(
        around.environment, around.system, sites=sites, registry=machine_registry()
    )
    ask = functools.partial(nvcc.ask, env=allowed(around.environment))
    search = cuda_room.find_installed(wanted, places, around.system, ask=ask)
    if search.toolkit is not None:
        return cuda_room.under_plain_name(search.toolkit)
    pins = cuda_wheels.read_pins(around.system)
    why_not = _why_not_laid_down(wanted, pins)
    if why_not is not None:
        raise cuda_room.nothing_fits(wanted, search.rejections, why_not)
    for rejection in search.rejections:
        around.on_event(f"not taken: {rejection}")
    return cuda_room.under_plain_name(_laid_down(wanted, search, pins, around, ask))


def _why_not_laid_down(wanted: Wanted, pins: ToolkitPins) -> str | None:
    """Why the toolkit that NVIDIA's wheels make is of no use, or None."""
    request, version = wanted.request, pins.version
    if wanted.major is not None and wanted.major != version.major:
        return (
            f"{wanted.because}. The toolkit that can be laid down is {version}: "
            f"NVIDIA's wheels for CUDA {wanted.major} have no nvcc"
        )
    if not request.allow_laydown:
        return "the profile does not allow to lay one down"
    if not request.cuda_version.contains(version, prereleases=True):
        return f"the one that can be laid down is {version}"
    return cuda_room.misfit(wanted, version, pins.architectures)


def _laid_down(
    wanted: Wanted,
    search: Search,
    pins: ToolkitPins,
    around: Surroundings,
    ask: Callable[[Path], nvcc.Nvcc],
) -> CudaToolkit:
    try:
        home = cuda_wheels.lay_down(
            pins, workspace=around.workspace, index=around.index, on_event=around.on_event
        )
    except OfflineError as error:
        missing = cuda_room.nothing_fits(wanted, search.rejections, "and NVIDIA's wheels cannot be fetched")
        raise OfflineError(f"{missing.message}\n{error.message}", fix=error.fix) from error
    said = ask(home / "bin" / program("nvcc", around.system))
    why_not = cuda_room.misfit(wanted, said.version, said.architectures)
    if why_not is not None:
        raise cuda_room.nothing_fits(wanted, search.rejections, why_not)
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
            sdks = windows_sdk.find_sdks(machine_registry(), base)
            return msvc.find_msvc(
                msvc.Surroundings(environment=base, limits=limits, workspace=around.workspace, sdks=sdks)
            )
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


def installed_torch(request: ToolchainRequest, python: TargetPython) -> Torch | str:
    """The environment's CUDA torch if it fits and may be taken, else why only headers are.

    Raises:
        ToolchainError: the profile wants the installed one, and it does not do.
    """
    found = torch_room.find_installed(python, request)
    if isinstance(found, str) and request.torch_source is TorchSource.INSTALLED:
        raise ToolchainError(
            f"torch.source is installed, but {found}",
            fix=f'{python.executable} -m pip install "torch{request.torch_wanted}"',
        )
    return found


def headers_of_torch(
    request: ToolchainRequest, python: TargetPython, host: HostCompiler, because: str, around: Surroundings
) -> Torch:
    """The headers of the pinned wheel that fits.

    A CPU torch of the right version is not preferred to the wheel's headers: those are a CUDA build's own.
    It stands in only where the index does not answer.
    """
    return torch_headers.lay_down(
        torch_headers.read_pin(request, around.system),
        host=host,
        because=because,
        installed=torch_room.fitting_package(python, request),
        workspace=around.workspace,
        index=around.index,
        on_event=around.on_event,
    )
