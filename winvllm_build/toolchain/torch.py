"""The torch upstream's CMake is given: the environment's own CUDA torch, or the pinned wheel's headers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from winvllm_build.choices import TorchOrigin, TorchSource
from winvllm_build.toolchain.python import TargetPython
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.torch_version import read_version

CONFIG: Final = "share/cmake/Torch/TorchConfig.cmake"
OLDER_ABI: Final = "_GLIBCXX_USE_CXX11_ABI=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """A torch for CMake.

    Attributes:
        version: with its local part, as torch itself says it: "2.9.1+cu128".
        cuda: the CUDA version it was built with; None for a CPU build whose headers stand in.
        package: the folder `torch`, with include and share/cmake.
        import_path: what has to be on PYTHONPATH so that `import torch` finds it; None where it is installed.
    """

    version: str
    cuda: str | None
    origin: TorchOrigin
    package: Path
    import_path: Path | None
    cxx11_abi: bool

    @property
    def cuda_major(self) -> int | None:
        """The major version that the toolkit has to have as well; the extensions would not load otherwise."""
        return Version(self.cuda).major if self.cuda is not None and self.runs else None

    @property
    def runs(self) -> bool:
        """Whether what is linked with it can be loaded on this machine."""
        return self.origin is TorchOrigin.INSTALLED


def fits(found: str, request: ToolchainRequest) -> bool:
    """Whether a version, local part or not, is one of those asked for."""
    try:
        return request.torch_wanted.contains(Version(found), prereleases=True)
    except InvalidVersion:
        return False


def find_installed(python: TargetPython, request: ToolchainRequest) -> Torch | str:
    """The environment's torch, or why it does not do; torch itself is not imported."""
    return chosen(python.executable, None if python.torch is None else python.torch.parent, request)


def chosen(executable: Path, package: Path | None, request: ToolchainRequest) -> Torch | str:
    """The torch that a build of this request uses, or why only headers are."""
    if request.torch_source is TorchSource.HEADERS:
        return "the profile asks for headers only"
    return examine(executable, package, request)


def examine(executable: Path, package: Path | None, request: ToolchainRequest) -> Torch | str:
    """An interpreter's package folder `torch`, if it has one."""
    if package is None:
        return f"{executable} has no torch"
    said = read_version(package)
    if said is None:
        return f"{package} has no readable version.py"
    if not fits(said.version, request):
        return f"torch {said.version} is installed; this {_asker(request)}"
    if said.cuda is None:
        return f"torch {said.version} is installed without CUDA"
    config = package / CONFIG
    if not config.is_file():
        return f"torch {said.version} is installed without {CONFIG}"
    return Torch(
        version=said.version,
        cuda=said.cuda,
        origin=TorchOrigin.INSTALLED,
        package=package,
        import_path=None,
        cxx11_abi=has_cxx11_abi(config),
    )


def _asker(request: ToolchainRequest) -> str:
    if request.torch_fits is None:
        return f"tag needs {request.torch_version}"
    return f"profile asks for {request.torch_fits} (torch.version)"


def fitting_package(python: TargetPython, request: ToolchainRequest) -> Path | None:
    """The installed torch of a version that fits, CUDA build or not: at least its headers fit."""
    package = None if python.torch is None else python.torch.parent
    said = None if package is None else read_version(package)
    return package if said is not None and fits(said.version, request) else None


def has_cxx11_abi(config: Path) -> bool:
    """Whether the wheel was built with the newer libstdc++ ABI; all are since torch 2.7."""
    return OLDER_ABI not in config.read_text("utf-8", "replace")
