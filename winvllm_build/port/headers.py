"""The headers of a new set's patches: as a person left them there, else carried from the old set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from winvllm_build.git import RepoPath
from winvllm_build.patchset import patchfile, patchset
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.patchfile import PatchFile
from winvllm_build.port.notes import header_of


def on_disk(folder: Path, layer: str, target: str, path: RepoPath) -> PatchFile | None:
    """The patch of `path` in the new set, if there is one.

    Raises:
        PatchError: its file is malformed.
    """
    file = patchset.place_of(folder, layer, target, path).file
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    return patchfile.parse(content, path=path, where=str(file))


def kept(
    folder: Path, layer: str, target: str, files: Mapping[RepoPath, PatchFile]
) -> dict[RepoPath, PatchFile]:
    """`files` with the headers that the new set's patches have now.

    Raises:
        PatchError: a patch file there is malformed.
    """
    there = {path: on_disk(folder, layer, target, path) for path in files}
    return {
        path: file if (found := there[path]) is None else redone(found, file.diff)
        for path, file in files.items()
    }


def redone(was: PatchFile, diff: Diff) -> PatchFile:
    """`diff` with the header of `was`, whose notes follow their hunks."""
    return PatchFile(header=header_of(was.header, was.diff, diff), diff=diff)
