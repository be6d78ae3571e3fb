"""The command that installs a wheel together with the torch that it was compiled for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from winvllm_build.errors import WheelError
from winvllm_build.toolchain import torch_index
from winvllm_build.toolchain.torch_index import TorchBuild
from winvllm_build.wheel import metadata
from winvllm_build.wheel.opened import OpenWheel
from winvllm_build.wheel.version import read_local

CUDA: Final = re.compile(r"cu\d+")
TORCH: Final = "torch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What an installation has to know.

    Attributes:
        target: what is installed: the wheel's path, or a folder.
        torch: the release of torch that is required; None when none is.
        cuda: the CUDA release the extensions were compiled with; None when there are none.
        torch_local: the local part of the torch that was compiled against (`cu126`), None when unknown.
    """

    target: str
    torch: str | None
    cuda: Version | None
    torch_local: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallCommand:
    """The words of the command, for each installer.

    Attributes:
        indexes: the indexes that they name.
    """

    pip: tuple[str, ...]
    uv: tuple[str, ...]
    indexes: tuple[str, ...]


def read(file: Path) -> Built:
    """What a wheel says of itself.

    Raises:
        WheelError: it is no readable wheel, or its own check refused it.
    """
    metadata.refuse_refused(file)
    said = metadata.read_name(file)
    if said is None:
        raise WheelError(f"{file} is not named as a wheel is", fix="winvllm-build build makes one")
    with OpenWheel(file) as wheel:
        requires = metadata.read(wheel, said).requires
    return Built(target=str(file), torch=_pinned(requires), cuda=read_local(said.version).cuda)


def _pinned(requirements: Sequence[Requirement]) -> str | None:
    """The release of torch that the wheel's metadata pins."""
    for wanted in requirements:
        exact = [s.version for s in wanted.specifier if s.operator == "=="]
        if canonicalize_name(wanted.name) == TORCH and exact:
            return Version(exact[0]).public
    return None


def compose(
    built: Built, *, indexes: Sequence[str] = (), python: str = "python", options: Sequence[str] = ()
) -> InstallCommand:
    """The commands; torch is named with its build, so that one without CUDA cannot be taken instead.

    Args:
        built: what is installed.
        indexes: addresses that replace the known ones.
        python: the interpreter of the environment, as it is called there.
        options: further options of both installers, before the target.

    Raises:
        ToolchainError: the wheel's torch has no build for the major version of CUDA it was compiled with.
    """
    build = _torch_build(built, indexes)
    pinned = [] if built.torch is None or build.local is None else [f"{TORCH}=={built.torch}+{build.local}"]
    extra = [word for address in build.indexes for word in ("--extra-index-url", address)]
    uv_extra = [word for address in build.indexes for word in ("--index", address)]
    best = ["--index-strategy", "unsafe-best-match"] if uv_extra else []
    into = [] if python == "python" else ["--python", python]
    return InstallCommand(
        pip=(python, "-m", "pip", "install", *extra, *pinned, *options, built.target),
        uv=("uv", "pip", "install", *into, *best, *uv_extra, *pinned, *options, built.target),
        indexes=build.indexes,
    )


def _torch_build(built: Built, indexes: Sequence[str]) -> TorchBuild:
    if built.torch_local is not None and CUDA.fullmatch(built.torch_local):
        own = tuple(indexes) or (torch_index.index_of(built.torch_local),)
        return TorchBuild(local=built.torch_local, indexes=own)
    if built.torch is None or built.cuda is None:
        return TorchBuild(local=None, indexes=tuple(indexes))
    return torch_index.build_for(built.torch, built.cuda, indexes=indexes)
