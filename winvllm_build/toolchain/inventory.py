"""All that is on a machine to build with, taken or not; what is missing is told, never raised."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from packaging.version import Version

from winvllm_build import git
from winvllm_build.errors import WinvllmError
from winvllm_build.index import PlatformTag
from winvllm_build.registry import Registry
from winvllm_build.toolchain import cuda_survey, cuda_wheels, gpu, nvcc, visual_studio, windows_sdk
from winvllm_build.toolchain import torch as torch_room
from winvllm_build.toolchain.buildtools import Tool, find_cmake, find_ninja
from winvllm_build.toolchain.cuda import Wanted, misfit
from winvllm_build.toolchain.cuda_search import Places, machine_places
from winvllm_build.toolchain.cuda_survey import FoundToolkit, Verdict
from winvllm_build.toolchain.environment import allowed
from winvllm_build.toolchain.gpu import Gpus
from winvllm_build.toolchain.host import HostLimits
from winvllm_build.toolchain.host_survey import FoundCompiler, survey_gnu, survey_msvc
from winvllm_build.toolchain.python import python_files
from winvllm_build.toolchain.python_files import PythonFiles
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.torch import Torch
from winvllm_build.toolchain.visual_studio import VisualStudio
from winvllm_build.toolchain.vswhere import installations
from winvllm_build.toolchain.windows_sdk import WindowsSdk
from winvllm_build.workspace import Workspace

THREADS: Final = 8
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidDown:
    """A toolkit that is not there yet, and what is known of it all the same."""

    version: Version
    architectures: tuple[str, ...]
    limits: HostLimits

    def serves(self, wanted: Wanted, toolkits: Iterable[FoundToolkit]) -> bool:
        """Whether the first build lays it down, since none of these does."""
        if any(one.verdict is Verdict.TAKEN for one in toolkits):
            return False
        return self.refusal(wanted) is None

    def refusal(self, wanted: Wanted) -> str | None:
        """Why a build does not lay it down, or None."""
        if wanted.request.cuda_home is not None:
            return "the profile names another (cuda.home)"
        if not wanted.request.allow_laydown:
            return "the profile does not allow it (cuda.allow_laydown)"
        return misfit(wanted, self.version, self.architectures)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What was found.

    Attributes:
        toolkits: every CUDA toolkit, with why it is taken or left.
        laid_down: the toolkit that NVIDIA's wheels would make where none fits.
        compilers: host compilers, the first that nvcc accepts is taken.
        studios: every Visual Studio; none off Windows.
        python: None where it does not answer.
        installed_torch: the torch that a build would use, or why only headers will do.
        errors: why a part is missing, by the name of its field.
    """

    system: PlatformTag
    toolkits: tuple[FoundToolkit, ...]
    laid_down: LaidDown
    compilers: tuple[FoundCompiler, ...]
    studios: tuple[VisualStudio, ...]
    sdks: tuple[WindowsSdk, ...]
    python: PythonFiles | None
    installed_torch: Torch | str
    gpus: Gpus
    git: git.UserSettings | None
    cmake: Tool | None
    ninja: Tool | None
    errors: Mapping[str, WinvllmError] = field(default_factory=dict)

    @property
    def toolkit(self) -> FoundToolkit | None:
        """The one that a build takes."""
        return next((one for one in self.toolkits if one.verdict is Verdict.TAKEN), None)

    def lays_down(self, request: ToolchainRequest) -> bool:
        """Whether the first build of this request lays a toolkit down."""
        return self.laid_down.serves(_wanted(request, self.installed_torch), self.toolkits)

    @property
    def compiler(self) -> FoundCompiler | None:
        """The one that a build takes."""
        return next((one for one in self.compilers if not one.refusal), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where to look; a test hands in its own machine."""

    workspace: Workspace
    system: PlatformTag
    environment: Mapping[str, str]
    registry: Registry
    places: Places | None = None


class _Errors:
    def __init__(self) -> None:
        self.kept: dict[str, WinvllmError] = {}

    def attempt(self, name: str, step: Callable[[], Found]) -> Found | None:
        try:
            return step()
        except WinvllmError as error:
            self.kept[name] = error
            return None


def take(request: ToolchainRequest, scope: Scope) -> Inventory:
    """Look at everything at once; nothing is laid down, and vcvarsall is not run."""
    errors, base = _Errors(), allowed(scope.environment)
    windows = scope.system is PlatformTag.WINDOWS_AMD64
    with ThreadPoolExecutor(THREADS) as pool:
        gpus = pool.submit(gpu.read)
        cmake = pool.submit(errors.attempt, "cmake", lambda: find_cmake(base, scope.system))
        ninja = pool.submit(errors.attempt, "ninja", lambda: find_ninja(base, scope.system))
        settings = pool.submit(errors.attempt, "git", git.user_settings)
        sdks = pool.submit(windows_sdk.find_sdks, scope.registry, scope.environment)
        listed = pool.submit(errors.attempt, "studios", lambda: installations(base)) if windows else None
        python = errors.attempt("python", lambda: python_files(request.python, system=scope.system, env=base))
        torch = _torch(python, request)
        toolkits = _toolkits(request, torch, python, scope)
        found = None if listed is None else listed.result()
        studios = tuple(visual_studio.read(one) for one in found or ())
        limits = next((one.limits for one in toolkits if one.verdict is Verdict.TAKEN), HostLimits())
        laid_down = _laid_down(scope)
        if laid_down.serves(_wanted(request, torch), toolkits):
            limits = laid_down.limits
        compilers = survey_msvc(studios, limits) if windows else survey_gnu(_with_cxx(scope, base), limits)
        return Inventory(
            system=scope.system,
            toolkits=toolkits,
            laid_down=laid_down,
            compilers=compilers,
            studios=studios,
            sdks=sdks.result(),
            python=python,
            installed_torch=torch,
            gpus=gpus.result(),
            git=settings.result(),
            cmake=cmake.result(),
            ninja=ninja.result(),
            errors=errors.kept,
        )


def _with_cxx(scope: Scope, base: Mapping[str, str]) -> dict[str, str]:
    return {**base, **{name: value for name, value in scope.environment.items() if name == "CXX"}}


def _torch(python: PythonFiles | None, request: ToolchainRequest) -> Torch | str:
    if python is None:
        return "there is no Python to ask"
    package = python.torch_package
    return torch_room.chosen(python.executable, package, request)


def _toolkits(
    request: ToolchainRequest, torch: Torch | str, python: PythonFiles | None, scope: Scope
) -> tuple[FoundToolkit, ...]:
    sites = () if python is None else python.sites
    places = scope.places or machine_places(
        scope.environment, scope.system, sites=sites, registry=scope.registry
    )
    own = _own(scope)
    wanted = _wanted(request, torch)
    ask = functools.partial(nvcc.ask, env=allowed(scope.environment))
    return cuda_survey.survey(wanted, places, scope.system, own=own, ask=ask)


def _wanted(request: ToolchainRequest, torch: Torch | str) -> Wanted:
    return Wanted(request=request, torch=torch if isinstance(torch, Torch) else None)


def _laid_down(scope: Scope) -> LaidDown:
    pins = cuda_wheels.read_pins(scope.system)
    return LaidDown(version=pins.version, architectures=pins.architectures, limits=pins.limits)


def _own(scope: Scope) -> Path | None:
    pins = cuda_wheels.read_pins(scope.system)
    home = scope.workspace.toolchains / pins.folder_name
    return home if cuda_wheels.is_complete(home, pins) else None
