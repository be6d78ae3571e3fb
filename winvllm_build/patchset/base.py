"""Which commits patches may be written on: the manifest's, or the one made of the pinned archive."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Oid
from winvllm_build.patchset import advice
from winvllm_build.patchset.lock import TargetLock
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft
from winvllm_build.patchset.worktree import Worktree
from winvllm_build.sources.pins import SdistPin


def refuse_unknown(place: Worktree, draft: Draft, target: str) -> None:
    """Refuse a HEAD that nothing ties to the tag: its files would become what the lock calls upstream's.

    Raises:
        TreeStateError: it is neither the pinned commit, nor the archive's, nor has a tree the lock knows.
    """
    commit, locked = draft.commit_of(target), draft.locked(target)
    sdist = draft.pin.sdist if target == MAIN_TARGET else None
    known = locked is not None and locked.pair_of(place.base) is not None
    tied = draft.pin.means(place.head) if target == MAIN_TARGET else place.head == commit
    if known or tied or (sdist is not None and is_archive_commit(place, sdist)):
        return
    wanted = [f"the commit {commit[:12]}"] if commit else []
    wanted += [f"the tool's own commit of {sdist.project} {sdist.version}"] if sdist else []
    raise TreeStateError(
        f"{place.folder}: HEAD is the commit {place.head[:12]} with the tree {place.base[:12]}; "
        f"the patches are for {' or '.join(wanted) or f'no commit: [dependency.{target}] names none'}",
        fix=way_back(place, draft.tag, commit, locked, draft.root)
        if wanted
        else f"edit {draft.manifest_file}",
    )


def way_back(place: Worktree, tag: str, commit: Oid | None, locked: TargetLock | None, root: Path) -> str:
    """The command that leads to a commit the patches are for: one this repository has, or another tree."""
    kept = place.git.out("for-each-ref", "--format=%(objectname)", f"refs/winvllm/{tag}/").decode("ascii")
    for oid in (*([commit] if commit else []), *(Oid(line) for line in kept.split())):
        there = place.git.run("rev-parse", "--verify", "--quiet", f"{oid}^{{tree}}", ok=(0, 1, 128))
        known = locked is not None and locked.pair_of(Oid(there.text.strip())) is not None
        if there.code == 0 and (oid == commit or known):
            return f"git -C {advice.quoted(str(place.folder))} checkout --detach {oid}"
    return advice.command("source", tag, "--tree", "FOLDER", root=root)


def is_archive_commit(place: Worktree, pin: SdistPin) -> bool:
    """Whether HEAD is, byte for byte, the commit object that the tool makes of the pinned archive."""
    return place.head == pin.commit_id(place.base)
