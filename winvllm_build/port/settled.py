"""Layers of the new set that are done, as the port takes them: their diffs with the headers they have now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from winvllm_build.git import Git, RepoPath
from winvllm_build.patchset import header, tree
from winvllm_build.patchset.patchfile import PatchFile
from winvllm_build.patchset.patchset import Patch
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port import headers
from winvllm_build.port.job import Job
from winvllm_build.port.port import Settled
from winvllm_build.port.state import Done
from winvllm_build.port.write import Layered


def settled(job: Job, made: Done) -> Settled:
    """One layer that a human is done with.

    Raises:
        PatchError: a patch file of the new set is malformed.
    """
    with scratch_of(made.repository / "objects") as git:
        files = _files(git, job, made)
        steps = tree.difference(git, made.base, made.patched)
    patches = tuple(
        Patch(
            layer=made.layer, target=made.target, file=Path(), content=file, pre=steps[path].pre,
            post=steps[path].post,
        )
        for path, file in files.items()
    )  # fmt: skip
    layered = Layered(layer=made.layer, base=made.base, patched=made.patched, files=files)
    return Settled(layered=layered, patches=patches, entries=made.entries)


def _files(git: Git, job: Job, made: Done) -> Mapping[RepoPath, PatchFile]:
    """Each diff with the header that its patch has in the new set, else in the old one, else a new one."""
    old = {p.path: p.content for p in job.old.of(made.target) if p.layer == made.layer}
    sources = {entry.to: old[entry.path] for entry in made.entries if entry.to and entry.path in old}
    files = {}
    for path, diff in tree.export(git, made.base, made.patched).items():
        was = headers.on_disk(job.folder, made.layer, made.target, path) or sources.get(path)
        if was is None:
            files[path] = PatchFile(header=header.template(path, job.new), diff=diff)
        else:
            files[path] = headers.redone(was, diff)
    return files
