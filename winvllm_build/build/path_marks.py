"""Folders whose names CMake, Ninja or a shell would read as more than a name: refused early."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.workspace import HOME_VARIABLE, Workspace

if TYPE_CHECKING:  # a doctor asks for the patterns alone, in a second
    from winvllm_build.toolchain.toolchain import Toolchain

WORKSPACE: Final = re.compile(r"""[;,"'$`<>|*?\[\]{}#]|\\""")
"""Lists (torch's linker options are cut at commas), generator expressions, patterns. Blanks, `&`, `%`, `(`
and letters of any script are fine."""
TOOLKIT: Final = re.compile(r"""[\s;,"'$`<>|*?\[\]{}#&()!^]|\\""")
"""Upstream puts `-I<toolkit>/include` into the compiler's flags, where nobody quotes it."""


def refuse_workspace(workspace: Workspace) -> None:
    """Let a build into it, or say why not.

    Raises:
        UsageError: its path holds what CMake reads as more than a letter.
    """
    mark = _first(WORKSPACE, workspace.root)
    if mark:
        raise UsageError(
            f"the workspace {workspace.root} has {mark} in its path, which CMake reads as more than a letter",
            fix=f"set {HOME_VARIABLE} to a folder without it",
        )


def refuse_toolkit(found: Toolchain) -> None:
    """Let a build use it, or say why not.

    Raises:
        ToolchainError: the path of the CUDA toolkit would be cut into words in the compiler's flags.
    """
    mark = _first(TOOLKIT, found.cuda.home)
    if mark and os.name != "nt":
        raise ToolchainError(
            f"the CUDA toolkit {found.cuda.home} has {mark} in its path, where compilers' flags are cut",
            fix=f'ln -s "{found.cuda.home}" FOLDER with a name of letters and digits; set cuda.home to that',
        )


def _first(marks: re.Pattern[str], path: Path) -> str:
    found = marks.search(path.as_posix())
    return "" if found is None else "a blank" if found[0].isspace() else f'"{found[0]}"'
