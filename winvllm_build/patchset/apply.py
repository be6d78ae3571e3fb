"""Applying a patch set exactly, all or nothing, and taking it back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.errors import FindingsError, PatchError, TreeStateError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset import advice, lock, materialise, status, tree
from winvllm_build.patchset.base import way_back
from winvllm_build.patchset.layers import Selection, compose
from winvllm_build.patchset.materialise import Move
from winvllm_build.patchset.older import applied_tree, kept_ref
from winvllm_build.patchset.ondisk import IN_THE_WAY, NOT_STAGED, index_entries
from winvllm_build.patchset.patchset import MAIN_TARGET, PatchSet
from winvllm_build.patchset.present import known
from winvllm_build.patchset.status import FileState, TreeState, TreeStatus
from winvllm_build.patchset.worktree import Worktree, open_worktree, scratch, snapshot
from winvllm_build.workspace import locked, storage_errors

OnEvent = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyResult:
    """What was done.

    Attributes:
        files: the files that were rewritten (or would be, in a check).
        already: nothing had to be done.
        seconds: wall time.
        tree: the tree object the index and the patched files now stand for.
        recovered: what became of an interrupted run, if there was one.
        saved: the ref that keeps what `restore` replaced.
    """

    files: tuple[RepoPath, ...]
    already: bool
    seconds: float
    tree: Oid
    recovered: str | None = None
    saved: str | None = None


def apply(
    patch_set: PatchSet, worktree: Path, *, on_event: OnEvent, target: str = MAIN_TARGET,
    selection: Selection | None = None, check: bool = False, restore: bool = False,
) -> ApplyResult:  # fmt: skip
    """Bring the patched files of `worktree` to their patched content.

    Args:
        patch_set: what to apply.
        worktree: a worktree whose HEAD is the tag's commit or the sdist's.
        on_event: told what happens, one sentence each.
        target: which source tree of the set.
        selection: the layers; None for the required one alone. Others that are applied are taken back.
        check: prove everything, write nothing.
        restore: overwrite edited files too, after the worktree was saved as a commit.

    Raises:
        TreeStateError: foreign, wrong base, partial or dirty (in a check: FindingsError for the last two).
        PatchError: patches, lock and tree do not fit each other.
        ConflictError: the layers cannot be combined on this tree.
        StorageError: the disk refused; everything is as before.
        BusyError: another run works on this tree.
    """
    goal = _Goal(patch_set, target, selection, reverse=False)
    return _run(goal, worktree, on_event, check=check, restore=restore)


def unapply(
    patch_set: PatchSet, worktree: Path, *, on_event: OnEvent, target: str = MAIN_TARGET,
    selection: Selection | None = None, check: bool = False, restore: bool = False,
) -> ApplyResult:  # fmt: skip
    """Bring the patched files of `worktree` back to HEAD's content, whichever layers are applied.

    Arguments and errors as in `apply`.
    """
    goal = _Goal(patch_set, target, selection, reverse=True)
    return _run(goal, worktree, on_event, check=check, restore=restore)


class _Goal:
    """One direction of one target with some layers."""

    def __init__(
        self, patch_set: PatchSet, target: str, selection: Selection | None, *, reverse: bool
    ) -> None:
        self.patch_set = patch_set
        self.target = target
        self.known = known(patch_set, selection, target)
        self.selection = self.known.selection
        self.reverse = reverse
        self.name = "unapply" if reverse else "apply"
        self.entries = self.known.wanted
        self.wanted = FileState.PRISTINE if reverse else FileState.APPLIED
        self.reached = TreeState.PRISTINE if reverse else TreeState.APPLIED
        self.other = TreeState.APPLIED if reverse else TreeState.PRISTINE

    def command(self, worktree: Path, verb: str, *options: str) -> str:
        """A command line about this set and `worktree`."""
        return advice.command(
            verb, self.patch_set.tag, *self.selection.options, *options,
            root=self.patch_set.root, tree=worktree, target=self.target,
        )  # fmt: skip

    def move(self, path: RepoPath, current: Oid) -> Move:
        entry = self.entries[path]
        modes = entry.modes[::-1] if self.reverse else entry.modes
        new = entry.pre if self.reverse else entry.post
        return Move(path=path, old=current, new=new, old_mode=modes[0], new_mode=modes[1])


def _run(goal: _Goal, worktree: Path, on_event: OnEvent, *, check: bool, restore: bool) -> ApplyResult:
    begun = time.monotonic()
    place = open_worktree(worktree)
    with _exclusive(place, needed=not check):
        recovered = None if check else materialise.recover(place)
        if recovered is not None:
            on_event(recovered)
        found = status.examine(place, goal.patch_set, goal.target, goal.selection)
        _refuse_wrong_base(place, goal, found)
        reached = found.state is goal.reached
        proven = _prove(place, goal, keep=not check and not reached, known=not check and reached)
        _refuse_unready(goal, found, check=check, restore=restore)
        moves = _moves(goal, found)
        saved = None
        if not check:
            if moves and found.state not in (goal.other, TreeState.OUTDATED):
                saved = _save(place, goal, found)
                on_event(f"the worktree as it was is kept as {saved}")
            _write(place, goal, moves, proven)
        return ApplyResult(
            files=tuple(move.path for move in moves), already=not moves, seconds=time.monotonic() - begun,
            tree=place.base if goal.reverse else proven, recovered=recovered, saved=saved,
        )  # fmt: skip


@contextmanager
def _exclusive(place: Worktree, *, needed: bool) -> Iterator[None]:
    if not needed:
        yield
        return
    with locked(place.lock_file, f"the tree {place.folder}"):
        yield


def _prove(place: Worktree, goal: _Goal, *, keep: bool, known: bool) -> Oid:
    """The patched tree, computed in objects and compared with patches and lock.

    Args:
        place: the worktree.
        goal: the patches.
        keep: leave the new objects in the worktree's repository.
        known: the files are proven already, so the lock's word is enough.
    """
    pair = goal.patch_set.target(goal.target).pair_of(place.base)
    locked = None if pair is None or goal.selection.optional else pair.patched
    if known and (there := locked or _applied_already(place, goal)) is not None:
        return there
    fix = goal.command(place.folder, "status")
    patches = goal.patch_set.of(goal.target)
    with storage_errors(str(place.objects)), scratch(place, keep=keep) as git:
        try:
            made = compose(git, patches, goal.selection, place.base, fix=fix)
        except PatchError:
            _explain(place, goal)
            raise
        actual = tree.difference(git, place.base, made)
        what = f"the patches of {goal.patch_set.tag} do not fit this tree"
        tree.prove(goal.entries, actual, what=what, fix=fix)
    if locked is not None and locked != made:
        file = goal.patch_set.folder / lock.FILE
        raise PatchError(
            f"the patched tree is {made}, but {file} says {locked}",
            fix=advice.restore(
                [file],
                root=goal.patch_set.root,
                tag=goal.patch_set.tag,
                tree=place.folder,
                target=goal.target,
            ),
        )
    return made


def _applied_already(place: Worktree, goal: _Goal) -> Oid | None:
    """The tree that an earlier run proved and left here, if it is what this one would prove."""
    there = applied_tree(place, goal.patch_set.tag, goal.target)
    fits = there is not None and tree.difference(place.git, place.base, there) == goal.entries
    return there if fits else None


def _explain(place: Worktree, goal: _Goal) -> None:
    """Name the files whose base differs, where that is why git refused.

    Raises:
        PatchError: there are such files.
    """
    there = place.git.entries(place.base, tuple(goal.entries))
    faults = []
    for path, wanted in goal.entries.items():
        entry = there.get(path)
        if (entry.oid if entry else NO_OBJECT) != wanted.pre:
            has = f"blob {entry.oid[:12]}" if entry else "no such file"
            faults.append(f"  {path}: the patch is for blob {wanted.pre[:12]}, the tree has {has}")
    if faults:
        listed = "\n".join(faults)
        raise PatchError(
            f"the patches of {goal.patch_set.tag} are made for other files:\n{listed}",
            fix="use the tree of that tag, or regenerate the patches on this one",
        )


def _refuse_wrong_base(place: Worktree, goal: _Goal, found: TreeStatus) -> None:
    if found.state is TreeState.WRONG_BASE:
        patch_set, known = goal.patch_set, goal.patch_set.target(goal.target)
        raise TreeStateError(
            f"{found.worktree}: {found.detail}",
            fix=way_back(place, patch_set.tag, known.commit, known, patch_set.root),
        )


def _refuse_unready(goal: _Goal, found: TreeStatus, *, check: bool, restore: bool) -> None:
    blocked = [file for file in found.files if file.current == IN_THE_WAY]
    settled = (goal.reached, goal.other, TreeState.OUTDATED)
    ready = found.state in settled or (restore and not blocked)
    if ready:
        return
    bad = found.having(FileState.DIRTY, FileState.MISSING) or found.having(goal.wanted)
    listed = "\n".join(f"  {f.path}: {f.detail or f.state.value}" for f in bad)
    options = ("--reverse", "--restore") if goal.reverse else ("--restore",)
    message = f"{found.worktree} is {found.state.value}; nothing was changed:\n{listed}"
    fix = f"{goal.command(found.worktree, 'apply', *options)} (it first saves the tree as a commit)"
    if blocked:
        fix = "move the folders or links named above away"
    if check:
        raise FindingsError(message, fix=fix)
    raise TreeStateError(message, fix=fix)


def _moves(goal: _Goal, found: TreeStatus) -> list[Move]:
    moves = [
        goal.move(file.path, file.current)
        for file in found.files
        if file.path in goal.entries and file.state is not goal.wanted
    ]
    for file in found.files:  # an earlier version or another layer changed it, these layers leave it alone
        if file.path not in goal.entries:
            was = found.older[file.path]
            modes = was.modes[::-1]
            moves.append(
                Move(path=file.path, old=file.current, new=was.pre, old_mode=modes[0], new_mode=modes[1])
            )
    return moves


def _write(place: Worktree, goal: _Goal, moves: Sequence[Move], proven: Oid) -> None:
    with storage_errors(str(place.private)):
        if moves:
            materialise.materialise(place, moves, operation=goal.name)
        stale = list(_stale(place, goal))
        if stale:
            materialise.set_index(place, stale)
        ref = kept_ref(goal.patch_set.tag, goal.target)
        if moves and goal.reverse:
            place.git.out("update-ref", "-d", ref)
        elif moves:
            place.git.out("update-ref", ref, proven)


def _stale(place: Worktree, goal: _Goal) -> Iterator[Move]:
    """What the index still has of before."""
    staged = index_entries(place, goal.known.sides)
    for path, sides in goal.known.sides.items():
        entry = staged.get(path, NOT_STAGED)
        if path in goal.entries:
            move = goal.move(path, NO_OBJECT)
            if entry.oid != move.new:
                yield move
        elif entry.side in sides.others and entry.side != sides.upstream:
            new = sides.upstream
            yield Move(path=path, old=NO_OBJECT, new=new.oid, old_mode="000000", new_mode=new.mode)


def _save(place: Worktree, goal: _Goal, found: TreeStatus) -> str:
    """Commit the worktree as it lies, without touching it, under a ref of its own."""
    staged = index_entries(place, [file.path for file in found.files])
    new = [
        file.path
        for file in found.files
        if file.path not in staged and file.current not in (NO_OBJECT, IN_THE_WAY)
    ]
    with storage_errors(str(place.objects)), scratch(place, keep=True) as git:
        kept = snapshot(place, git, new)
        commit = git.commit_tree(kept, f"The worktree before {goal.name} --restore", parents=(place.head,))
    ref = f"refs/winvllm/saved/{time.strftime('%Y%m%d-%H%M%S')}-{commit[:8]}"
    place.git.out("update-ref", ref, commit)
    return ref
