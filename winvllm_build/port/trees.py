"""The source trees of a set at both tags: vLLM itself, and each dependency that has patches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.choices import SourceKind
from winvllm_build.errors import UNOBTAINABLE
from winvllm_build.git import Git, Oid
from winvllm_build.patchset import manifest, rewrite
from winvllm_build.patchset.patchset import MAIN_TARGET
from winvllm_build.port.job import Job
from winvllm_build.sources.dependency import acquire_commit
from winvllm_build.sources.pins import DependencyPin, read_pins


@dataclass(frozen=True, slots=True, kw_only=True)
class Trees:
    """One source at both tags, in one repository.

    Attributes:
        target: its name in the set.
        repository: the tool's own, bare.
        old: the old tag's tree.
        new: the new tag's tree.
        commit: the new tag's commit.
        kind: how the new one came, as the lock names it (`git`, `sdist`).
    """

    target: str
    repository: Path
    old: Oid
    new: Oid
    commit: Oid
    kind: str

    @property
    def objects(self) -> Path:
        return self.repository / "objects"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A dependency at the same commit: its patches are the same, byte for byte."""

    target: str
    commit: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A dependency that the new tag does not have, or that cannot be had."""

    target: str
    reason: str
    gone: bool


def trees_of(job: Job) -> Iterator[Trees | Unchanged | Missing]:
    """What becomes of each source tree that has patches, vLLM first."""
    source = job.new_source
    yield Trees(
        target=MAIN_TARGET, repository=source.repository, old=job.old_source.tree, new=source.tree,
        commit=source.commit, kind=rewrite.SDIST if source.kind is SourceKind.SDIST else rewrite.GIT,
    )  # fmt: skip
    names = sorted({patch.target for patch in job.old.patches} - {MAIN_TARGET})
    if names:
        before, after = (_pins(folder / manifest.FILE) for folder in (job.old.folder, job.folder))
        for name in names:
            yield _dependency(job, before[name], after.get(name))


def _pins(file: Path) -> dict[str, DependencyPin]:
    if not file.is_file():
        return {}
    return {pin.name: pin for pin in read_pins(file).dependencies}


def _dependency(job: Job, old: DependencyPin, new: DependencyPin | None) -> Trees | Unchanged | Missing:
    if new is None:
        reason = f"{job.new} has no dependency {old.name}"
        return Missing(target=old.name, reason=reason, gone=True)
    if new.commit is not None and new.commit == old.commit:
        return Unchanged(target=old.name, commit=new.commit)
    doors = job.doors
    try:
        found = [
            acquire_commit(pin, workspace=doors.workspace, remotes=doors.remotes, on_event=doors.tell)
            for pin in (old, new)
        ]
    except UNOBTAINABLE as error:
        reason = f"the source of {old.name} at both revisions cannot be had: {error.message}"
        return Missing(target=old.name, reason=reason, gone=False)
    (folder, first), (_, second) = found
    git = Git(folder)
    return Trees(
        target=old.name, repository=folder, old=git.tree_of(first), new=git.tree_of(second), commit=second,
        kind=rewrite.GIT,
    )  # fmt: skip
