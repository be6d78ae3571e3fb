"""Which header a regenerated patch gets: given, kept, moved along with its change, or a template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import header as headers
from winvllm_build.patchset import patchfile
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.header import Header
from winvllm_build.patchset.patchset import Draft

SUFFIX: Final = ".hdr"


def headers_of(
    draft: Draft, target: str, layer: str, diffs: Mapping[RepoPath, Diff], folder: Path | None
) -> dict[RepoPath, Header]:
    """The header of each diff: given, else of the same path, else of the same change, else a template."""
    before = {
        patch.path: patch.content
        for patch in draft.patches
        if patch.target == target and patch.layer == layer
    }
    moved = {old.diff.change_id: old.header for path, old in before.items() if path not in diffs}
    given = {} if folder is None else _given(folder)
    unused = sorted(set(given) - set(diffs))
    if unused:
        raise PatchError(
            f"{folder} has headers of files that are not changed: {', '.join(unused)}",
            fix="delete or rename them",
        )
    made = {}
    for path, diff in diffs.items():
        if path in given:
            old = given[path]
        elif path in before:
            old = before[path].header
        else:
            old = moved.get(diff.change_id) or headers.template(path, draft.tag)
        made[path] = patchfile.carried(old, diff).with_default("Since", draft.tag)
    return made


def _given(folder: Path) -> dict[RepoPath, Header]:
    found = {}
    for file in sorted(folder.rglob(f"*{SUFFIX}")):
        path = RepoPath(file.relative_to(folder).as_posix().removesuffix(SUFFIX))
        text = file.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").strip(b"\n") + b"\n"
        found[path] = headers.parse(text, where=str(file))
    return found
