"""What a regeneration will write: every patch file and the lock, planned as bytes, then written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.errors import FindingsError, PatchError
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath
from winvllm_build.patchset import lock, patchfile, patchset, tree
from winvllm_build.patchset.blob import proven
from winvllm_build.patchset.lock import Lock, PatchLock, TargetLock, TreePair
from winvllm_build.patchset.patchfile import SUFFIX, PatchFile
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft, Patch
from winvllm_build.workspace import storage_errors, write_atomic

GIT: Final = "git"
SDIST: Final = "sdist"
"""How a source came, where the lock does not know its tree yet."""
_REPORT: Final = "report this with the output of `git --version`"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegenResult:
    """What was written; in a check that found nothing all of it is empty but `unchanged`.

    Attributes:
        written: patch files that are new or other than before.
        removed: patch files whose change is gone.
        unchanged: patch files that were right already.
        orphans: `path: note` of each hunk note whose hunk vanished.
        findings: what a person still has to write (templates, missing fields).
        relocked: the lock was rewritten.
        seconds: wall time.
    """

    written: tuple[Path, ...]
    removed: tuple[Path, ...]
    unchanged: tuple[Path, ...]
    orphans: tuple[str, ...]
    findings: tuple[str, ...]
    relocked: bool
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every file as it has to be; None is a file that has to go. `command` carries the plan out."""

    files: Mapping[Path, bytes | None]
    lock: bytes
    lock_file: Path
    command: str
    orphans: tuple[str, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is regenerated.

    Attributes:
        git: the scratch repository.
        head: the commit that is patched.
        base: its tree.
        draft: the patch set as it is.
        layer: where new patches go.
        target: which source tree.
        command: the command line that does the same again.
        on_event: told what could not be proven.
    """

    git: Git
    head: Oid
    base: Oid
    draft: Draft
    layer: str
    target: str
    command: str
    on_event: Callable[[str], None]

    @property
    def before(self) -> Mapping[RepoPath, Patch]:
        return {patch.path: patch for patch in self.draft.patches if patch.target == self.target}


def plan(job: Job, files: Mapping[RepoPath, PatchFile], made: Oid) -> Plan:
    before = job.before
    actual = tree.difference(job.git, job.base, made)
    wanted: dict[Path, bytes | None] = {
        patch.file: None for path, patch in before.items() if path not in files
    }
    locks: dict[RepoPath, PatchLock] = {}
    for path, file in files.items():
        old = before.get(path)
        place = patchset.place_of(job.draft.folder, old.layer if old else job.layer, job.target, path)
        wanted[place.file] = file.serialise()
        locks[path] = PatchLock.of(place.layer, file.diff, pre=actual[path].pre, post=actual[path].post)
    _refuse_outside(job.draft.folder, wanted)
    targets = dict(job.draft.lock.targets) if job.draft.lock else {}
    targets[job.target] = _target_lock(job, locks, files, made)
    return Plan(
        files=wanted, lock=Lock(targets=targets).serialise(), lock_file=job.draft.folder / lock.FILE,
        command=job.command,
        orphans=tuple(
            f"{path}: {note.hunk} {note.why}" for path, file in files.items() for note in file.header.orphans
        ),
        findings=tuple(f"{path}: {finding}" for path, file in files.items() for finding in file.findings()),
    )  # fmt: skip


def prove(git: Git, base: Oid, made: Oid, files: Mapping[RepoPath, PatchFile]) -> None:
    """Blob by blob, as a tree in another order, and byte by byte: the files turn `base` into exactly `made`.

    Raises:
        PatchError: they do not; nothing was written.
    """
    blobs = tree.contents(git, [file.diff.pre for file in files.values() if file.diff.pre])
    wrong = [
        path
        for path, file in files.items()
        if file.diff.hunks and not proven(file.diff, blobs.get(file.diff.pre or NO_OBJECT))
    ]
    read = {path: patchfile.parse(file.serialise(), path=path, where=path) for path, file in files.items()}
    wrong += [path for path, file in files.items() if read[path] != file]
    backwards = [read[path].diff for path in reversed(list(read))]
    result = tree.compute(git, base, backwards, fix=_REPORT)
    again = {} if wrong else tree.export(git, base, result)
    if wrong or result != made or again != {path: file.diff for path, file in read.items()}:
        raise PatchError(
            f"the round trip failed for {', '.join(wrong) or 'the whole tree'}; nothing was written",
            fix=_REPORT,
        )


def _refuse_outside(folder: Path, files: Iterable[Path]) -> None:
    """The last guard before writing: a link or a crafted name must not lead out of the tag's folder."""
    top = folder.resolve()
    for file in files:
        if not file.resolve().is_relative_to(top):
            raise PatchError(
                f"{file} lies outside {top}; nothing was written", fix=f"remove the link in {folder}"
            )


def _target_lock(
    job: Job, locks: Mapping[RepoPath, PatchLock], files: Mapping[RepoPath, PatchFile], made: Oid
) -> TargetLock:
    old = job.draft.locked(job.target)
    commit = job.draft.commit_of(job.target) or (old.commit if old else job.head)
    tagged = job.draft.pin.means(job.head) if job.target == MAIN_TARGET else job.head == commit
    trees = dict(old.trees) if old else {}
    mine = next((kind for kind, pair in trees.items() if pair.base == job.base), None)
    mine = mine or (GIT if tagged else SDIST)
    same = old is not None and dict(old.patches) == dict(locks)
    for kind, pair in trees.items():
        if kind != mine and not same:
            trees[kind] = _other_tree(job, kind, pair, files)
    trees[mine] = TreePair(base=job.base, patched=made)
    return TargetLock(commit=commit, trees=trees, patches=locks)


def _other_tree(job: Job, kind: str, pair: TreePair, files: Mapping[RepoPath, PatchFile]) -> TreePair:
    """The other kind of source, patched anew if its objects are here."""
    if job.git.run("cat-file", "-e", pair.base, ok=(0, 1, 128)).code != 0:
        job.on_event(f"the {kind} tree {pair.base[:12]} is not here: only the files are proven for it")
        return TreePair(base=pair.base, patched=None)
    fix = f"{job.command}, on a tree of the {kind} source"
    patched = tree.compute(job.git, pair.base, [file.diff for file in files.values()], fix=fix)
    return TreePair(base=pair.base, patched=patched)


def carry_out(planned: Plan, begun: float, *, check: bool) -> RegenResult:
    present = {file: _read(file) for file in [*planned.files, planned.lock_file]}
    wanted = [file for file, content in planned.files.items() if content is not None]
    written = tuple(file for file in wanted if present[file] != planned.files[file])
    removed = tuple(f for f, content in planned.files.items() if content is None and present[f] is not None)
    relocked = present[planned.lock_file] != planned.lock
    if check and (written or removed or relocked):
        lines = [
            f"  {file}: differs" if present[file] is not None else f"  {file}: missing" for file in written
        ]
        lines += [f"  {file}: no longer needed" for file in removed]
        lines += [f"  {planned.lock_file}: differs"] if relocked else []
        raise FindingsError(
            "the patch files are not what the tree gives:\n" + "\n".join(lines), fix=planned.command
        )
    if not check:
        _write(planned, written, removed, relocked=relocked)
    return RegenResult(
        written=written, removed=removed, unchanged=tuple(file for file in wanted if file not in written),
        orphans=planned.orphans, findings=planned.findings, relocked=relocked,
        seconds=time.monotonic() - begun,
    )  # fmt: skip


def _write(plan: Plan, written: Sequence[Path], removed: Sequence[Path], *, relocked: bool) -> None:
    """Each file whole or not at all, the lock last: a killed run leaves a lock that does not fit."""
    folder = plan.lock_file.parent
    for leftover in [*folder.rglob(f".*{SUFFIX}.*.tmp"), *folder.glob(f".{lock.FILE}.*.tmp")]:
        leftover.unlink(missing_ok=True)
    for file in written:
        content = plan.files[file]
        if content is not None:
            write_atomic(file, content)
    with storage_errors(str(plan.lock_file.parent)):
        for file in removed:
            file.unlink(missing_ok=True)
            for parent in file.relative_to(plan.lock_file.parent).parents[:-2]:
                with contextlib.suppress(OSError):
                    (plan.lock_file.parent / parent).rmdir()
    if relocked:
        write_atomic(plan.lock_file, plan.lock)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
