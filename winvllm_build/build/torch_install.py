"""The tag's torch, for the toolkit that was found, put into the environment that is built for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.build.editable import installer_of
from winvllm_build.errors import ToolchainError
from winvllm_build.shells import of_system, typed
from winvllm_build.toolchain import torch, torch_index
from winvllm_build.toolchain.cuda import Rejection, Wanted, nothing_fits
from winvllm_build.toolchain.inventory import Inventory
from winvllm_build.toolchain.python import refuse_unfit
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.torch import Torch

SHOWN: Final = 8
"""Lines of pip's own words in an error."""


def plan(
    found: Inventory, request: ToolchainRequest, *, indexes: Sequence[str] = ()
) -> Torch | tuple[str, ...]:
    """The torch that is there and fits, else the words that install one; no compiler is needed to know it.

    Args:
        found: what the machine has.
        request: what profile and tag ask for.
        indexes: addresses that replace the known ones.

    Raises:
        ToolchainError: the Python does not fit, no toolkit does, or torch has no build for it.
        WinvllmError: the Python does not answer.
    """
    python = found.python
    if python is None:
        raise found.errors["python"]
    refuse_unfit(python, request)
    there = torch.examine(python.executable, python.torch_package, request)
    if isinstance(there, Torch):
        return there
    return command(python.executable, request.torch_version, _cuda(found, request), indexes=indexes)


def _cuda(found: Inventory, request: ToolchainRequest) -> Version:
    """The version of the toolkit that a build takes or lays down."""
    if found.toolkit is not None and found.toolkit.version is not None:
        return found.toolkit.version
    if found.lays_down(request):
        return found.laid_down.version
    rejections = [
        Rejection(path=one.home, named_by=", ".join(one.named_by), reason=one.reason)
        for one in found.toolkits
    ]
    wanted = Wanted(request=request)
    why = f"{found.laid_down.version} is not laid down: {found.laid_down.refusal(wanted)}"
    raise nothing_fits(wanted, tuple(rejections), why)


def command(python: Path, release: str, cuda: Version, *, indexes: Sequence[str] = ()) -> tuple[str, ...]:
    """The words of the install; torch is named with its build, for the package index has one without CUDA.

    Args:
        python: the environment's interpreter.
        release: of torch, that the tag pins.
        cuda: the toolkit's version.
        indexes: addresses that replace the known ones.

    Raises:
        ToolchainError: this torch has no build for that major version of CUDA, or nothing there installs.
    """
    build = torch_index.build_for(release, cuda, indexes=indexes)
    extra = [word for address in build.indexes for word in ("--extra-index-url", address)]
    pinned = f"torch=={release}+{build.local}"
    if python.is_file() and installer_of(python, "auto") == "uv":  # which looks at one index, unless told
        uv = ("uv", "pip", "install", "--python", str(python), "--index-strategy", "unsafe-best-match")
        return (*uv, *extra, pinned)
    pip = (str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check")
    return (*pip, *extra, pinned)


def install(words: Sequence[str], *, on_line: Callable[[str], None]) -> None:
    """Run it; pip checks every file's hash, and a second run takes up what is downloaded.

    Raises:
        ToolchainError: pip failed; its last lines are told.
    """
    last: deque[str] = deque(maxlen=SHOWN)

    def told(line: str) -> None:
        last.append(line)
        on_line(line)

    if process.stream(words, on_line=told) != 0:
        raise ToolchainError(
            "pip could not install torch:\n" + "\n".join(f"  | {line}" for line in last),
            fix="\n".join(
                ["check the network or name a mirror with --index, then", *typed(words, of_system())]
            ),
        )
