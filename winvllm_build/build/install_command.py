"""The command that installs a wheel together with the torch that it was compiled for."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from winvllm_build.errors import UsageError
from winvllm_build.toolchain import torch_index
from winvllm_build.toolchain.torch_index import TorchBuild

CUDA: Final = re.compile(r"cu(\d+)(\d)")
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


def read(wheel: Path) -> Built:
    """What a wheel says of itself.

    Raises:
        UsageError: it is no readable wheel.
    """
    try:
        _, version, _, _ = parse_wheel_filename(wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            name = next(
                n for n in archive.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1
            )
            metadata = message_from_bytes(archive.read(name))
    except (InvalidWheelFilename, OSError, StopIteration, zipfile.BadZipFile) as error:
        raise UsageError(
            f"{wheel} is no readable wheel: {error}", fix="winvllm-build build makes one"
        ) from error
    return Built(
        target=str(wheel),
        torch=_pinned(metadata.get_all("Requires-Dist") or ()),
        cuda=cuda_of(version.local or ""),
    )


def cuda_of(local: str) -> Version | None:
    """13.0 of `cu130.sm86`, the local part of a wheel's or torch's version."""
    for part in local.split("."):
        match = CUDA.fullmatch(part)
        if match:
            return Version(f"{match[1]}.{match[2]}")
    return None


def _pinned(requirements: Sequence[str]) -> str | None:
    """The release of torch that the wheel's metadata pins."""
    for text in requirements:
        try:
            wanted = Requirement(text)
        except InvalidRequirement:
            continue
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
