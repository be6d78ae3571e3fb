"""What a regeneration will write: every patch file and the lock, planned as bytes, then written."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build.errors import FindingsError, PatchError
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath
from winvllm_build.patchset import lock, patchfile, patchset, pending, record, tree
from winvllm_build.patchset.blob import proven
from winvllm_build.patchset.layers import Composer, combine, select, verify
from winvllm_build.patchset.lock import Lock, PatchLock, TargetLock, TreePair
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.patchfile import SUFFIX, PatchFile
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft, Patch
from winvllm_build.workspace import Journal, storage_errors, write_atomic

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
        target: which source tree.
        command: the command line that does the same again.
        on_event: told what could not be proven.
    """

    git: Git
    head: Oid
    base: Oid
    draft: Draft
    target: str
    command: str
    on_event: Callable[[str], None]

    @property
    def before(self) -> tuple[Patch, ...]:
        return tuple(patch for patch in self.draft.patches if patch.target == self.target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The patches of one layer as they have to be.

    Attributes:
        layer: its name.
        files: one for each path.
        base: the tree they are made for.
        made: that tree with them.
    """

    layer: str
    files: Mapping[RepoPath, PatchFile]
    base: Oid
    made: Oid

    def patches(self, git: Git, folder: Path, target: str) -> tuple[Patch, ...]:
        """The same as patches of a set."""
        steps = tree.difference(git, self.base, self.made)
        return tuple(
            Patch(
                layer=self.layer, target=target, content=file, pre=steps[path].pre, post=steps[path].post,
                file=patchset.place_of(folder, self.layer, target, path).file,
            )
            for path, file in self.files.items()
        )  # fmt: skip


def plan(job: Job, contents: Sequence[Content]) -> Plan:
    """What has to be written; every combination of the layers is proven on the way.

    Args:
        job: what is regenerated.
        contents: every layer that has patches and the required one, which comes first.

    Raises:
        PatchError: a patch does not fit, or a patch file lies behind a link.
        ConflictError: two layers that may be together cannot be.
    """
    folder = job.draft.folder
    patches = [patch for content in contents for patch in content.patches(job.git, folder, job.target)]
    wanted: dict[Path, bytes | None] = {patch.file: None for patch in job.before}
    wanted |= {patch.file: patch.content.serialise() for patch in patches}
    _refuse_outside(folder, wanted)
    patchset.refuse_collisions(patches)
    targets = dict(job.draft.lock.targets) if job.draft.lock else {}
    targets[job.target] = _target_lock(job, patches, contents[0].made)
    return Plan(
        files=wanted, lock=Lock(targets=targets).serialise(), lock_file=folder / lock.FILE,
        command=job.command,
        orphans=tuple(
            f"{patch.path}: {note.hunk} {note.why}"
            for patch in patches for note in patch.content.header.orphans
        ),
        findings=tuple(
            f"{patch.path}: {finding}" for patch in patches for finding in patch.content.findings()
        ),
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


def _target_lock(job: Job, patches: Sequence[Patch], made: Oid) -> TargetLock:
    """The lock's word on `patches`, all combinations of layers proven; `made` is the required one's tree."""
    old = job.draft.locked(job.target)
    commit = job.draft.commit_of(job.target) or (old.commit if old else job.head)
    tagged = job.draft.pin.means(job.head) if job.target == MAIN_TARGET else job.head == commit
    trees = dict(old.trees) if old else {}
    mine = next((kind for kind, pair in trees.items() if pair.base == job.base), None)
    mine = mine or (GIT if tagged else SDIST)
    locks: dict[str, dict[RepoPath, PatchLock]] = {}
    for patch in patches:
        known = PatchLock.of(patch.layer, patch.content.diff, pre=patch.pre, post=patch.post)
        locks.setdefault(patch.layer, {})[patch.path] = known
    required = locks.pop(DEFAULT_LAYER.name, {})
    made_here = {mine: TreePair(base=job.base, patched=made)}
    plain = TargetLock(commit=commit, trees=made_here, patches=required, optional=locks)
    composer = Composer(job.git, patches, job.base, fix=job.command)
    new = replace(plain, combined=combine(composer, plain, job.draft.manifest) if locks else {})
    same = old is not None and replace(new, trees=old.trees) == old
    others = {kind: pair for kind, pair in trees.items() if kind != mine}
    if not same:
        others = {kind: _other_tree(job, kind, pair, patches, new) for kind, pair in others.items()}
    return replace(new, trees={**others, **made_here})


def _other_tree(job: Job, kind: str, pair: TreePair, patches: Sequence[Patch], new: TargetLock) -> TreePair:
    """The other kind of source, patched anew if its objects are here."""
    if job.git.run("cat-file", "-e", pair.base, ok=(0, 1, 128)).code != 0:
        job.on_event(f"the {kind} tree {pair.base[:12]} is not here: only the files are proven for it")
        return TreePair(base=pair.base, patched=None)
    fix = f"{job.command}, on a tree of the {kind} source"
    composer = Composer(job.git, patches, pair.base, fix=fix)
    if new.optional:
        verify(composer, new, job.draft.manifest, fix=fix)
    return TreePair(base=pair.base, patched=composer.tree(select(job.draft.manifest)))


def carry_out(planned: Plan, begun: float, *, check: bool, journal: Journal | None = None) -> RegenResult:
    """Write what differs, or in a check report it.

    Args:
        planned: what there has to be.
        begun: when the run began.
        check: write nothing.
        journal: notes what is under way, for a set whose files cannot be made again one by one.

    Raises:
        FindingsError: the check found differences.
        StorageError: the disk refused; a later run finishes.
    """
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
        changed = {file: planned.files[file] for file in (*written, *removed)}
        if journal is not None and changed:
            lock_file = {planned.lock_file: planned.lock} if relocked else {}
            pending.begin(journal, planned.lock_file.parent, {**changed, **lock_file})
        _write(planned, written, removed, relocked=relocked)
        if journal is not None:
            journal.end()
    return RegenResult(
        written=written, removed=removed, unchanged=tuple(file for file in wanted if file not in written),
        orphans=planned.orphans, findings=planned.findings, relocked=relocked,
        seconds=time.monotonic() - begun,
    )  # fmt: skip


def _write(plan: Plan, written: Sequence[Path], removed: Sequence[Path], *, relocked: bool) -> None:
    """Each file whole or not at all, the lock last: a killed run leaves a lock that does not fit."""
    folder = plan.lock_file.parent
    patterns = (f"**/.*{SUFFIX}.*.tmp", f".{lock.FILE}.*.tmp", f".{record.FILE}.*.tmp")
    for leftover in [file for pattern in patterns for file in folder.glob(pattern)]:
        leftover.unlink(missing_ok=True)
    for file in written:
        content = plan.files[file]
        if content is not None:
            write_atomic(file, content)
    with storage_errors(str(plan.lock_file.parent)):
        for file in removed:
            file.unlink(missing_ok=True)
            for parent in file.relative_to(plan.lock_file.parent).parents[:-1]:
                with contextlib.suppress(OSError):
                    (plan.lock_file.parent / parent).rmdir()
    if relocked:
        write_atomic(plan.lock_file, plan.lock)


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
