"""Everything a build compiles with, found in one go; what is wrong is told all at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from winvllm_build.errors import OfflineError, ToolchainError, WinvllmError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain.buildtools import find_cmake, find_ninja
from winvllm_build.toolchain.cuda import CudaToolkit
from winvllm_build.toolchain.cuda_search import Places
from winvllm_build.toolchain.environment import allowed, build_environment
from winvllm_build.toolchain.host import HostCompiler, HostKind
from winvllm_build.toolchain.parts import (
    Surroundings,
    complete_toolkit,
    find_host,
    find_toolkit,
    headers_of_torch,
    installed_torch,
)
from winvllm_build.toolchain.python import TargetPython, find_python
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.system import this_system
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
        if self.cuda.libraries:  # torch's older FindCUDA forgets some of these entries and searches again
            folders = dict.fromkeys(library.parent.as_posix() for library in self.cuda.libraries.values())
            found["CMAKE_LIBRARY_PATH"] = ";".join(folders)
        if self.cuda.include_dirs:
            include = ";".join(folder.as_posix() for folder in self.cuda.include_dirs)
            found["CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES"] = include
            found["CMAKE_CUDA_STANDARD_INCLUDE_DIRECTORIES"] = include
        return found

    def summary(self) -> str:
        """The versions, on one line."""
        torch = f"torch {self.torch.version}" + ("" if self.torch.runs else ", headers only")
        return (
            f"CUDA toolkit {self.cuda.version}, host compiler {self.host.kind.value} {self.host.version}, "
            f"Python {self.python.version}, {torch}"
        )

    def describe(self) -> dict[str, str]:
        """One line for each part, for a summary; what is missing or only stands in is said."""
        cuda, torch = self.cuda, self.torch
        lines = {
            "CUDA toolkit": f"{cuda.version} at {cuda.home} ({cuda.origin.value}, {cuda.named_by})",
            "host compiler": str(self.host),
            "Python": f"{self.python.version} at {self.python.executable}",
            "torch": f"{torch.version} at {torch.package} ({_told(torch)})",
            "cmake": str(self.cmake),
            "ninja": str(self.ninja),
        }
        if cuda.libraries or cuda.include_dirs:
            stubs = ", ".join(library.name for library in cuda.libraries.values())
            lines["completed"] = ", ".join([*(str(folder) for folder in cuda.include_dirs), f"stubs {stubs}"])
        if cuda.rejections:
            lines["not taken"] = "; ".join(str(rejection) for rejection in cuda.rejections)
        if cuda.problems:
            lines["problems"] = "; ".join(cuda.problems)
        return lines


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


def _told(torch: Torch) -> str:
    return "installed" if torch.runs else "headers only: what is linked is checked, not run"


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
    installed = None if python is None else problems.attempt(lambda: installed_torch(request, python))
    runs = installed if isinstance(installed, Torch) else None
    cuda = problems.attempt(lambda: find_toolkit(request, around, python, runs))
    host = problems.attempt(lambda: find_host(around, base, cuda))
    if not (cmake and ninja and python and installed and cuda and host):
        raise problems.error()
    completed = problems.attempt(lambda: complete_toolkit(cuda, host, around))
    torch = runs or problems.attempt(lambda: headers_of_torch(request, python, host, str(installed), around))
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
            python_path=python.extra_path if torch.import_path is None else (torch.import_path,),
            system=around.system,
        ),
    )
