"""Patches that the older set got after a port: entered into the record of the newer one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from winvllm_build.errors import ConflictError, UsageError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import advice, record
from winvllm_build.patchset.patchset import load, place_of
from winvllm_build.patchset.record import Decision, Ported, Record
from winvllm_build.port.job import Doors
from winvllm_build.port.opening import open_job
from winvllm_build.port.port import preview
from winvllm_build.suggest import did_you_mean
from winvllm_build.workspace import write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounted:
    """The record as it is now, and what was entered."""

    record: Record
    entered: tuple[Ported, ...]


def account(root: Path, new: str, doors: Doors, paths: Sequence[str] = (), *, reason: str = "") -> Accounted:
    """Say of every patch that the record lacks what became of it; all or nothing.

    A patch of which the newer set has one is *resolved*: somebody wrote it. One that upstream has is
    *upstreamed*. Of the others a human has to say why there is none.

    Args:
        root: the folder of patch sets.
        new: the newer set, which was ported.
        doors: where sources come from.
        paths: the patches that are meant; empty for all that lack.
        reason: why the newer set has no patch of those that it has none of.

    Raises:
        UsageError: the set was not ported, or a path names no patch that lacks.
        ConflictError: the port is not finished, or there is neither a patch nor a reason.
        PatchError: one of the sets is damaged.
    """
    file = root / new / record.FILE
    made = record.read(file)
    if made is None:
        raise UsageError(f"{new} was not ported: {file} does not exist", fix="winvllm-build port --help")
    here = {(patch.target, patch.path) for patch in load(root, new).patches}
    known = {entry.key for entry in made.patches}
    found = preview(open_job(root, new, doors, old=made.old)).record.patches
    lacking = [entry for entry in found if entry.key not in known]
    chosen = _chosen(lacking, paths, made.old)
    entered = [_entered(entry, here, reason) for entry in chosen]
    _refuse_undecided(root, made, [e for e, done in zip(chosen, entered, strict=True) if done is None])
    told = tuple(entry for entry in entered if entry is not None)
    whole = replace(made, patches=(*made.patches, *told))
    if told:
        write_atomic(file, whole.serialise())
    return Accounted(record=whole, entered=told)


def _chosen(lacking: Sequence[Ported], paths: Sequence[str], old: str) -> Sequence[Ported]:
    if not paths:
        return lacking
    names = [str(entry.path) for entry in lacking]
    for path in paths:
        if path not in names:
            raise UsageError(
                f"{path} is no patch of {old} that the record lacks{did_you_mean(path, names)}",
                fix=f"lacking are: {', '.join(names) or 'none'}",
            )
    return [entry for entry in lacking if entry.path in paths]


def _entered(entry: Ported, here: Collection[tuple[str, RepoPath]], reason: str) -> Ported | None:
    """What the record says of it; None where nobody decided."""
    for place in (entry.to, entry.path):
        if place is not None and (entry.target, place) in here:
            return replace(entry, to=place, decision=Decision.RESOLVED)
    if entry.decision is Decision.UPSTREAMED:
        return entry
    return replace(entry, to=None, decision=Decision.DROPPED, reason=reason) if reason else None


def _refuse_undecided(root: Path, made: Record, undecided: Sequence[Ported]) -> None:
    if not undecided:
        return
    listed = "".join(f"\n  {entry.path} ({entry.layer}): {entry.verdict}" for entry in undecided)
    first = undecided[0]
    patch = place_of(root / made.old, first.layer, first.target, first.path).file
    words = ["import", str(patch), "--tag", made.new, "--base", made.old]
    take = " ".join(["winvllm-build", *(advice.quoted(word) for word in words)])
    give_up = advice.command("port", made.new, str(first.path), "--account", "--reason", "WHY", root=root)
    raise ConflictError(
        f"{made.new} has no patch of these, which {made.old} got after the port; nothing is written:{listed}",
        fix=f"take one over: {take}; or give it up: {give_up}",
    )
