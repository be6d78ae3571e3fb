"""What CMake defines for every file on Windows alone: a configure on Linux does not show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from winvllm_build.audit.cxx.compile_set import LINUX_BUILD, WINDOWS_BUILD
from winvllm_build.git import Git, Oid
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_run import Run

COMMAND: Final = "add_compile_definitions"


def on_windows(tree: Path) -> tuple[str, ...]:
    """`NAME` or `NAME=VALUE`, as the index of a worktree has them.

    Raises:
        SourceError: its CMake files are missing or not CMake.
    """
    git = Git(tree)
    checkout = Checkout(git, Oid(git.line("write-tree")), tree.name)
    linux = set(_defined(checkout, LINUX_BUILD))
    return tuple(dict.fromkeys(one for one in _defined(checkout, WINDOWS_BUILD) if one not in linux))


def _defined(checkout: Checkout, known: Mapping[str, str]) -> Iterable[str]:
    for visit in Run(checkout, known).visits():
        if visit.live and visit.command.name == COMMAND:
            yield from (word for word in visit.command.words if "$" not in word)
