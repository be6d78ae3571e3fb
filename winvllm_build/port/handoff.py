"""Handing a layer to a human: a worktree in the middle of a cherry-pick, proven to be the merge."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from winvllm_build.errors import WinvllmError
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath, TreeEntry
from winvllm_build.patchset import tree
from winvllm_build.patchset.merge import OURS, THEIRS, Stage, commits
from winvllm_build.patchset.worktree import Worktree, scratch_of
from winvllm_build.port import bench
from winvllm_build.port.carry import Carried, Unit, carry
from winvllm_build.port.renames import tree_of
from winvllm_build.port.state import HandOff, State

RERERE: Final = ("-c", "rerere.enabled=true", "-c", "rerere.autoUpdate=true")
FORGETFUL: Final = ("-c", "rerere.enabled=false")
CONFLICTS: Final = 1
"""What `git cherry-pick` exits with where a human is needed."""


def begin(state: State, unit: Unit, *, target: str, layer: str, repository: Path, worktree: Path) -> HandOff:
    """The hand-off of one layer, with the commits it is made of; the worktree is not made yet."""
    git = Git(repository)
    made = commits(
        git, base=unit.old_base, changed=unit.old_patched, onto=unit.new_base,
        names=(state.old, state.new, f"patches of {state.old}: {layer}"),
    )  # fmt: skip
    for name, oid in {"onto": made.ours, "picked": made.theirs}.items():
        git.out("update-ref", state.ref(name), oid)
    return HandOff(
        target=target, layer=layer, repository=repository, worktree=worktree, unit=unit, onto=made.ours,
        picked=made.theirs, laid=unit.new_base,
    )  # fmt: skip


def recomputed(handoff: HandOff, *, resolve: bool) -> Carried:
    """What the merge of the hand-off's layer is; the same each time."""
    with scratch_of(handoff.repository / "objects", keep=True) as git:
        return carry(git, handoff.unit, resolve=resolve)


def lay_out(state: State, handoff: HandOff, carried: Carried, *, tell: Callable[[str], None]) -> HandOff:
    """Make the worktree: cherry-pick, conflicts with one answer settled, everything clean as it was merged.

    Args:
        state: the port.
        handoff: of `begin`.
        carried: the same merge in objects.
        tell: told what happens.

    Raises:
        TreeStateError: something else is where the worktree has to be.
        StorageError: it cannot be written.
    """
    bench.ignore_attributes(handoff.repository, handoff.onto, handoff.picked)
    place = bench.make(handoff.repository, handoff.onto, handoff.worktree, on_event=tell)
    _pick(place, handoff, carried)
    bench.put(
        place,
        {path: TreeEntry(mode=a.mode, oid=a.oid, path=path) for path, a in carried.resolved.items()},
    )
    laid = _proven(place, carried, tell)
    handoff.git.out("update-ref", state.ref("laid"), laid)
    _keep_alternatives(state, handoff, carried)
    return replace(handoff, laid=laid, remembered=_remembered(place, carried))


def open_places(carried: Carried) -> frozenset[RepoPath]:
    """Every path that an undecided patch is about."""
    return frozenset(place for verdict in carried.open for place in (verdict.path, *verdict.places)) | {
        verdict.to for verdict in carried.open if verdict.to is not None
    }


def unmerged(place: Worktree) -> frozenset[RepoPath]:
    """Paths that git has more than one version of."""
    return frozenset(stages(place))


def stages(place: Worktree) -> dict[RepoPath, dict[int, Stage]]:
    """Every version of each path that git asks about."""
    listed = place.git.out("ls-files", "--unmerged", "-z").decode("utf-8", "surrogateescape")
    found: dict[RepoPath, dict[int, Stage]] = {}
    for record in listed.split("\0")[:-1]:
        meta, _, path = record.partition("\t")
        mode, oid, number = meta.split()
        found.setdefault(RepoPath(path), {})[int(number)] = Stage(mode=mode, oid=Oid(oid))
    return found


def _pick(place: Worktree, handoff: HandOff, carried: Carried) -> None:
    """The cherry-pick, which asks what the merge asks; then what was resolved at an earlier time.

    Where git has nothing to ask, it is taken back to the same state as where it has.

    Raises:
        WinvllmError: it asks something else.
    """
    done = place.git.run(*FORGETFUL, "cherry-pick", handoff.picked, ok=(0, CONFLICTS))
    if done.code == 0:
        place.git.out("reset", "--quiet", "--soft", handoff.onto)
    place.git.out("update-ref", "CHERRY_PICK_HEAD", handoff.picked)
    asked = {path: found.stages for path, found in carried.merge.conflicts.items() if found.stages}
    there = stages(place)
    if there != asked:
        odd = sorted(path for path in {*asked, *there} if asked.get(path) != there.get(path))
        raise WinvllmError(
            f"git cherry-pick and the merge are not in conflict about the same: {', '.join(odd)}",
            fix="report this with the output of `git --version`",
        )
    place.git.run(*RERERE, "rerere")


def _proven(place: Worktree, carried: Carried, tell: Callable[[str], None]) -> Oid:
    """The worktree's files, which are the merge's where nothing is open.

    Raises:
        WinvllmError: they are not, whatever is written.
    """
    open_ones = open_places(carried)
    laid = bench.exact(place)
    others = _others(place, laid, carried.tree, open_ones)
    if others:
        tell(f"git cherry-pick made something else of {', '.join(others)}: the proven merge is put there")
        bench.put(place, others)
        laid = bench.exact(place)
        others = _others(place, laid, carried.tree, open_ones)
    if others:
        raise WinvllmError(
            f"the worktree {place.folder} is not the merge: {', '.join(others)}",
            fix="report this with the output of `git --version`",
        )
    return laid


def _others(
    place: Worktree, laid: Oid, wanted: Oid, open_ones: Collection[RepoPath]
) -> dict[RepoPath, TreeEntry | None]:
    """Files that are not as `wanted` has them, with what they should be."""
    return {
        path: None if step.post == NO_OBJECT else TreeEntry(mode=step.modes[1], oid=step.post, path=path)
        for path, step in tree.difference(place.git, laid, wanted).items()
        if path not in open_ones
    }


def _remembered(place: Worktree, carried: Carried) -> tuple[RepoPath, ...]:
    """Conflicts between lines that git does not ask about: it found them resolved at an earlier time."""
    conflicts = carried.merge.conflicts
    asked = {path for verdict in carried.open for path in verdict.places if path in conflicts}
    between = {path for path in asked if {OURS, THEIRS} <= set(conflicts[path].stages)}
    return tuple(sorted(between - unmerged(place)))


def _keep_alternatives(state: State, handoff: HandOff, carried: Carried) -> None:
    """Strict application's results stay in the repository as long as someone may take them."""
    entries = [
        TreeEntry(mode="100644", oid=verdict.strict, path=verdict.path)
        for verdict in carried.open
        if verdict.strict is not None
    ]
    if entries:
        handoff.git.out("update-ref", state.ref("strict"), tree_of(handoff.git, entries))
