"""Folders whose names CMake, Ninja or a shell would read as more than a name: refused early."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from winvllm_build import commands, cuda_home
from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.workspace import HOME_VARIABLE, Workspace

if TYPE_CHECKING:  # a doctor asks for the patterns alone, in a second
    from winvllm_build.toolchain.toolchain import Toolchain

WORKSPACE: Final = re.compile(r"""[;,"'$`<>|*?\[\]{}#]|\\""")
"""Lists (torch's linker options are cut at commas), generator expressions, patterns. Blanks, `&`, `%`, `(`
and letters of any script are fine."""


def refuse_workspace(workspace: Workspace) -> None:
    """Let a build into it, or say why not.

    Raises:
        UsageError: its path holds what CMake reads as more than a letter.
    """
    mark = WORKSPACE.search(workspace.root.as_posix())
    if mark is not None:
        raise UsageError(
            f"the workspace {workspace.root} has {_named(mark[0])} in its path, "
            "which CMake reads as more than a letter",
            fix=f"set {HOME_VARIABLE} to a folder without it",
        )


def refuse_toolkit(found: Toolchain) -> None:
    """Let a build use it, or say why not.

    Raises:
        ToolchainError: the path of the CUDA toolkit would be cut into words in the compiler's flags.
    """
    mark = cuda_home.first_mark(str(found.cuda.home))
    if mark is not None:
        raise ToolchainError(
            f"the CUDA toolkit {found.cuda.home} has {_named(mark)} in its path, "
            "where compilers' flags are cut",
            fix=commands.link(found.cuda.home, found.system) + ", and set cuda.home to that link",
        )


def _named(mark: str) -> str:
    return "a blank" if mark.isspace() else f'"{mark}"'
