"""The tag's torch, for the toolkit that was found, put into the environment that is built for."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain import torch_index

SHOWN: Final = 8
"""Lines of pip's own words in an error."""


def command(python: Path, torch: str, cuda: Version, *, indexes: Sequence[str] = ()) -> tuple[str, ...]:
    """The words of the install; torch is named with its build, for the package index has one without CUDA.

    Args:
        python: the environment's interpreter.
        torch: the release that the tag pins.
        cuda: the toolkit's version.
        indexes: addresses that replace the known ones.

    Raises:
        ToolchainError: this torch has no build for that major version of CUDA.
    """
    build = torch_index.build_for(torch, cuda, indexes=indexes)
    extra = [word for address in build.indexes for word in ("--extra-index-url", address)]
    pinned = f"torch=={torch}+{build.local}"
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
            fix=f"check the network or name a mirror with --index, then: {shlex.join(words)}",
        )
