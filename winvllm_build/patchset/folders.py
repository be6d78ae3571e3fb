"""The folders of a patch set: which files are patches, and nothing in between that is not meant."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from winvllm_build.errors import PatchError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import manifest
from winvllm_build.patchset.patchfile import SUFFIX
from winvllm_build.suggest import did_you_mean


def patch_files(
    folder: Path, layers: Sequence[str], targets: Sequence[str]
) -> Iterator[tuple[str, str, RepoPath, Path]]:
    """Layer, target, patched path and patch file of everything below the folder of a set.

    Raises:
        PatchError: an unknown layer or target, a link, or a file that is no patch.
    """
    for layer in _known(folder, layers, "layer"):
        for target in _known(folder / layer, targets, "target"):
            top = folder / layer / target
            for file in _walk(top):
                if not file.name.endswith(SUFFIX):
                    raise PatchError(f"{file} is not a {SUFFIX} file", fix=f"move {file} away")
                yield layer, target, RepoPath(file.relative_to(top).as_posix().removesuffix(SUFFIX)), file


def _known(parent: Path, known: Sequence[str], kind: str) -> list[str]:
    names = sorted(
        entry.name for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    for name in names:
        if name not in known:
            raise PatchError(
                f"{parent / name} is not a known {kind}{did_you_mean(name, known)}",
                fix=f"known: {', '.join(known)}; others are declared in {manifest.FILE}",
            )
    return names


def _walk(top: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(top):
        folders.sort()
        for name in [*folders, *files]:
            if Path(parent, name).is_symlink():
                raise PatchError(f"{Path(parent, name)} is a link", fix="patch files are plain files")
        for name in sorted(files):
            if not name.startswith(".") or name.endswith(SUFFIX):  # the rest: temporary files of a killed run
                yield Path(parent, name)
