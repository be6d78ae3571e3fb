"""The torch upstream's CMake is given: the environment's own CUDA torch, or the pinned wheel's headers."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from winvllm_build.choices import TorchOrigin
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain.python import TargetPython
from winvllm_build.toolchain.request import ToolchainRequest

VERSION_FILE: Final = "version.py"
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
    def runs(self) -> bool:
        """Whether what is linked with it can be loaded on this machine."""
        return self.origin is TorchOrigin.INSTALLED


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchVersion:
    """What torch's version.py assigns."""

    version: str
    cuda: str | None
    hip: str | None


def parse_version_file(text: str) -> TorchVersion | None:
    """The values in a torch/version.py, without importing it."""
    values: dict[str, object] = {}
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            values[target.id] = value.value
    version, cuda, hip = (values.get(name) for name in ("__version__", "cuda", "hip"))
    if not isinstance(version, str):
        return None
    return TorchVersion(
        version=version,
        cuda=cuda if isinstance(cuda, str) else None,
        hip=hip if isinstance(hip, str) else None,
    )


def read_version(package: Path) -> TorchVersion | None:
    try:
        return parse_version_file((package / VERSION_FILE).read_text("utf-8", "replace"))
    except OSError:
        return None


def same_release(found: str, wanted: str) -> bool:
    """Equal but for the local part: 2.9.1+cu128 is 2.9.1."""
    try:
        return Version(found).public == Version(wanted).public
    except InvalidVersion:
        return False


def find_installed(python: TargetPython, request: ToolchainRequest) -> Torch | str:
    """The environment's torch, or why it does not do; torch itself is not imported."""
    if python.torch is None:
        return f"{python.executable} has no torch"
    package = python.torch.parent
    said = read_version(package)
    if said is None:
        return f"{package} has no readable version.py"
    if not same_release(said.version, request.torch_version):
        return f"torch {said.version} is installed; this tag needs {request.torch_version}"
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


def same_release_package(python: TargetPython, request: ToolchainRequest) -> Path | None:
    """The installed torch of the right version, CUDA build or not: at least its headers fit."""
    package = None if python.torch is None else python.torch.parent
    said = None if package is None else read_version(package)
    return package if said is not None and same_release(said.version, request.torch_version) else None


def has_cxx11_abi(config: Path) -> bool:
    """Whether the wheel was built with the newer libstdc++ ABI; all are since torch 2.7."""
    return OLDER_ABI not in config.read_text("utf-8", "replace")


def major_mismatch(torch: Torch, cuda: Version) -> ToolchainError | None:
    """An installed torch and a toolkit of another major version: the extensions would not load."""
    if not torch.runs or torch.cuda is None or Version(torch.cuda).major == cuda.major:
        return None
    return ToolchainError(
        f"torch {torch.version} is built with CUDA {torch.cuda}, the toolkit is {cuda}: "
        "their major versions have to be equal",
        fix=f"install a CUDA {Version(torch.cuda).major} toolkit, or a torch built with CUDA {cuda.major}; "
        "to check only that everything compiles, set torch.source to headers",
    )
