"""The patched tree of a build: one worktree per tag, architecture list and combination of layers.

Upstream's configure writes generated kernels into the source tree, keyed by architectures only in each build
folder's CMake cache, so two lists on one tree would delete each other's files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git
from winvllm_build.patchset import advice
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.layers import Selection
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.patchset.status import FileState, TreeState, status
from winvllm_build.sources.source import Source, worktree
from winvllm_build.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchedTree:
    """A worktree with the patch set applied.

    Attributes:
        folder: its folder.
        tag: the set.
        layers: which layers of it.
        patches: number of patched files.
        changed: how many of them were written just now.
        edited: those that carry edits.
    """

    folder: Path
    tag: str
    layers: tuple[str, ...]
    patches: int
    changed: int
    edited: tuple[str, ...]


def tree_name(tag: str, arch_list: Sequence[str], layers: Sequence[str] = ()) -> str:
    """`v0.14.1-sm86`, `v0.14.1-sm75-86-89`, `v0.14.1-sm86+turboquant`; long lists end in a digest.

    Args:
        tag: the vLLM tag.
        arch_list: architectures.
        layers: the optional layers of patches.
    """
    short = "-".join(arch.replace(".", "").replace("+PTX", "p") for arch in arch_list)
    if len(short) > 24:  # noqa: PLR2004 - room for MAX_PATH
        digest = hashlib.sha256(";".join(arch_list).encode()).hexdigest()[:8]
        short = f"{short[:12]}-{digest}"
    return f"{tag}-sm{short}{layers_suffix(layers)}"


def layers_suffix(layers: Sequence[str]) -> str:
    """How the name of a tree with these optional layers ends."""
    suffix = "".join(f"+{name}" for name in layers)
    if len(suffix) > 36:  # noqa: PLR2004 - room for MAX_PATH
        digest = hashlib.sha256(suffix.encode()).hexdigest()[:8]
        return f"{suffix[:24]}+{digest}"
    return suffix


def tree_folder(workspace: Workspace, tag: str, arch_list: Sequence[str], layers: Sequence[str] = ()) -> Path:
    return workspace.trees / tree_name(tag, arch_list, layers)


def prepare(
    source: Source,
    patches: PatchSet,
    folder: Path,
    selection: Selection,
    *,
    allow_edits: bool,
    on_event: Callable[[str], None],
) -> PatchedTree:
    """Check out and patch, or find both already done.

    Args:
        source: where the base commit lies.
        patches: the set to apply.
        folder: the worktree.
        selection: which layers of it.
        allow_edits: build patched files that carry edits on top, instead of refusing.
        on_event: told what happens.

    Raises:
        TreeStateError: the folder holds something else, or edits that would be built unseen.
    """
    worktree(source, folder, on_event=on_event)
    found = status(patches, folder, selection=selection)
    edited = tuple(file.path for file in found.having(FileState.DIRTY, FileState.MISSING))
    changed = 0
    if found.state is TreeState.DIRTY and found.interrupted is None and allow_edits:
        on_event(f"building {len(edited)} patched files with edits: {', '.join(edited[:5])}")
    elif found.state is TreeState.DIRTY and found.interrupted is None:
        keep = _command("regen", patches, folder)
        undo = _command("apply", patches, folder, *selection.options, "--restore")
        raise TreeStateError(
            f"{folder} has edits in patched files: {', '.join(edited[:8])}",
            fix=f"keep them: `{keep}`; build them: --edited; undo them (they are saved): `{undo}`",
        )
    elif found.state is not TreeState.APPLIED or found.interrupted is not None:
        changed = len(apply(patches, folder, on_event=on_event, selection=selection).files)
    return PatchedTree(
        folder=folder, tag=patches.tag, layers=selection.layers, patches=len(patches.selected(selection)),
        changed=changed, edited=edited,
    )  # fmt: skip


def _command(verb: str, patches: PatchSet, folder: Path, *options: str) -> str:
    return advice.command(verb, patches.tag, *options, root=patches.root, tree=folder)


def other_edits(folder: Path, patched: frozenset[str]) -> tuple[str, ...]:
    """Tracked files outside the patch set that differ from the index; they are built as they are."""
    git = Git(folder)
    git.run("update-index", "-q", "--refresh", ok=(0, 1))
    listed = git.out("diff-files", "--name-only", "-z").decode("utf-8", "surrogateescape")
    return tuple(name for name in listed.split("\0") if name and name not in patched)
