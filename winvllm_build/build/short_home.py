"""The workspace by a path that is short enough for what a build makes in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from winvllm_build import registry
from winvllm_build.build import path_budget, trees
from winvllm_build.build.path_budget import Place
from winvllm_build.build.path_marks import refuse_workspace
from winvllm_build.profile.model import Profile
from winvllm_build.short_root import shorter
from winvllm_build.workspace import Workspace


def fitting(
    workspace: Workspace,
    profile: Profile,
    layers: tuple[str, ...],
    *,
    on_event: Callable[[str], None],
    shorten: Callable[[Path, int], Path] = shorter,
) -> Workspace:
    """The same workspace; on Windows by a junction or drive letter where its own path is too long.

    A dry run needs it as well: it configures, and CMake writes the path that it is given into the build.

    Args:
        workspace: as the user has it.
        profile: its tag and architectures decide how long names become.
        layers: optional layers, which make the tree's name longer.
        on_event: told by which other path it is reached.
        shorten: what finds or makes that path.

    Raises:
        StorageError: it is too long, and Windows lets no pointer be made.
        UsageError: its path holds what CMake reads as more than a letter.
    """
    refuse_workspace(workspace)
    root = shorten(workspace.root, room(profile, layers, long_paths=long_paths()))
    if root == workspace.root:
        return workspace
    on_event(f"{workspace.root} is too long for Windows' programs; this build reaches it as {root}")
    return Workspace(root=root)


def room(profile: Profile, layers: tuple[str, ...], *, long_paths: bool) -> int:
    """UTF-16 units that the workspace's path may have for this build."""
    tree = trees.tree_name(profile.tag, profile.cuda.arch_list, layers)
    wanted = path_budget.needs(profile.tag, tree=tree, build_type=profile.build.type.value.lower())
    return path_budget.longest_root(wanted, Place.WORKSPACE, long_paths=long_paths)


def long_paths() -> bool:
    """Whether this machine lets programs that can go beyond MAX_PATH."""
    if sys.platform == "win32":
        return registry.number(registry.machine_registry(), registry.FILE_SYSTEM, "LongPathsEnabled") == 1
    return True
