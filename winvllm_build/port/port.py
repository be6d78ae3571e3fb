"""A patch set carried to a new tag: computed in objects, what is clean written, the rest recorded as open."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final

from typing_extensions import assert_never

from winvllm_build.errors import UsageError
from winvllm_build.patchset import manifest, record
from winvllm_build.patchset.lock import TargetLock
from winvllm_build.patchset.patchfile import SUFFIX
from winvllm_build.patchset.patchset import Patch
from winvllm_build.patchset.record import Decision, Key, Ported, Record
from winvllm_build.patchset.rewrite import RegenResult
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port import headers
from winvllm_build.port.job import Job
from winvllm_build.port.trees import Missing, Trees, Unchanged, trees_of
from winvllm_build.port.units import LayerPort, carry_layers
from winvllm_build.port.verdict import Kind, Verdict
from winvllm_build.port.write import Ground, Layered, write_set

WAITS: Final = "waits for the layer {layer}, on which it is made"
SAME: Final = "the dependency is at the same commit {commit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A layer of the new set that is done, with what is recorded about its patches."""

    layered: Layered
    patches: tuple[Patch, ...]
    entries: tuple[Ported, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPort:
    """One source tree's patches.

    Attributes:
        trees: the source at both tags.
        settled: layers that were done before.
        layers: each layer carried, in order; none after the first with open patches.
        entries: what became of every patch.
    """

    trees: Trees
    settled: tuple[Settled, ...]
    layers: tuple[LayerPort, ...]
    entries: tuple[Ported, ...]

    @property
    def open_layer(self) -> LayerPort | None:
        """The layer a human has to decide about."""
        return next((made for made in self.layers if made.carried.open), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """A port in objects; `same` are dependencies that did not change."""

    targets: tuple[TargetPort, ...]
    same: tuple[Unchanged, ...]
    record: Record
    seconds: float

    @property
    def open_target(self) -> TargetPort | None:
        """The source tree a human has to decide about next."""
        return next((found for found in self.targets if found.open_layer), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a port is made.

    Attributes:
        resolve: settle conflicts that have one answer.
        settled: layers that are done, by source tree.
        dropped: patches that a human gave up without a merge of them, and why.
        keep_headers: headers that are in the new set's folder stay as they are.
    """

    resolve: bool = True
    settled: Mapping[str, Sequence[Settled]] = field(default_factory=dict)
    dropped: Mapping[Key, str] = field(default_factory=dict)
    keep_headers: bool = False


def preview(job: Job, options: Options | None = None) -> Computed:
    """What a port would find; nothing is kept."""
    return _compute(job, options or Options(), keep=False)


def port(job: Job, options: Options | None = None) -> tuple[Computed, RegenResult]:
    """Compute and write a port; the objects stay in the tool's repositories.

    Raises:
        PatchError: the old set does not fit its source, or the round trip failed.
        ConflictError: two layers cannot be combined on the new tag.
        StorageError: the disk refused; a later run finishes.
    """
    chosen = options or Options()
    computed = _compute(job, chosen, keep=True)
    return computed, _write(job, computed, keep_headers=chosen.keep_headers)


def refuse_present(job: Job) -> None:
    """A set that is there is not overwritten.

    Raises:
        UsageError: the new tag has patches already.
    """
    if job.new == job.old.tag:
        raise UsageError(f"{job.new} cannot be ported to itself", fix="name another tag with --from")
    if not _has_patches(job):
        return
    present = record.read(job.folder / record.FILE)
    if present is not None and present.open:
        raise UsageError(
            f"a port to {job.new} is under way: {len(present.open)} patches are open",
            fix=f"{job.command('--status')}; to begin anew: {job.command('--restart')}",
        )
    raise UsageError(
        f"{job.folder} has patches already",
        fix=f"{job.command('--from', job.old.tag, '--replace')} (the present ones are kept as a commit)",
    )


def _has_patches(job: Job) -> bool:
    return next(job.folder.glob(f"*/*/**/*{SUFFIX}"), None) is not None


def _compute(job: Job, options: Options, *, keep: bool) -> Computed:
    begun = time.monotonic()
    targets: list[TargetPort] = []
    same: list[Unchanged] = []
    entries: list[Ported] = []
    for found in trees_of(job):
        match found:
            case Trees():
                targets.append(_target(job, found, options, keep=keep))
                entries += targets[-1].entries
            case Unchanged():
                same.append(found)
                words = (SAME.format(commit=found.commit[:12]),)
                entries += [_whole(patch, Kind.IDENTICAL, words) for patch in job.old.of(found.target)]
            case Missing():
                kind = Kind.DELETED if found.gone else Kind.CONFLICT
                entries += [_whole(patch, kind, (found.reason,)) for patch in job.old.of(found.target)]
            case _:
                assert_never(found)
    decided = tuple(_dropped(entry, options.dropped) for entry in entries)
    return Computed(
        targets=tuple(targets), same=tuple(same), seconds=time.monotonic() - begun,
        record=Record(old=job.old.tag, new=job.new, patches=decided),
    )  # fmt: skip


def _target(job: Job, trees: Trees, options: Options, *, keep: bool) -> TargetPort:
    """Every layer up to the first that a human has to decide about."""
    patches = job.old.of(trees.target)
    settled = tuple(options.settled.get(trees.target, ()))
    known = {done.layered.layer: done.patches for done in settled}
    done: list[LayerPort] = []
    with scratch_of(trees.objects, keep=keep) as git:
        carried = carry_layers(git, patches, job.old.manifest, trees, resolve=options.resolve, settled=known)
        for made in carried:
            done.append(made)
            if made.carried.open:
                break
    have = {*known, *(made.layer for made in done)}
    entries = [entry for found in settled for entry in found.entries]
    entries += [
        entry_of(trees.target, made.layer, v) for made in done for v in made.carried.verdicts.values()
    ]
    entries += [
        _whole(patch, Kind.CONFLICT, (WAITS.format(layer=done[-1].layer),))
        for patch in patches
        if patch.layer not in have
    ]
    return TargetPort(trees=trees, settled=settled, layers=tuple(done), entries=tuple(entries))


def entry_of(target: str, layer: str, verdict: Verdict) -> Ported:
    """What is recorded of a patch that nobody decided about yet."""
    return Ported(
        target=target, layer=layer, path=verdict.path, to=verdict.to, verdict=verdict.kind.value,
        decision=_decision(verdict.kind), evidence=verdict.evidence,
    )  # fmt: skip


def _decision(kind: Kind) -> Decision:
    if kind.is_open:
        return Decision.OPEN
    return Decision.UPSTREAMED if kind is Kind.UPSTREAMED else Decision.CARRIED


def _whole(patch: Patch, kind: Kind, words: tuple[str, ...]) -> Ported:
    """The entry of a patch that no merge was made for."""
    return Ported(
        target=patch.target, layer=patch.layer, path=patch.path,
        to=patch.path if kind is Kind.IDENTICAL else None, verdict=kind.value, decision=_decision(kind),
        evidence=words,
    )  # fmt: skip


def _dropped(entry: Ported, reasons: Mapping[Key, str]) -> Ported:
    """The entry with the decision of a human who cannot decide about a merge."""
    if entry.decision is not Decision.OPEN or entry.key not in reasons:
        return entry
    return replace(entry, to=None, decision=Decision.DROPPED, reason=reasons[entry.key])


def _write(job: Job, computed: Computed, *, keep_headers: bool) -> RegenResult:
    rules = manifest.read(job.folder / manifest.FILE)
    copies = [_copy(job, patch, keep_headers) for same in computed.same for patch in job.old.of(same.target)]
    locks: dict[str, TargetLock] = {same.target: job.old.target(same.target) for same in computed.same}
    with ExitStack() as stack:
        grounds = [
            (stack.enter_context(scratch_of(found.trees.objects)), _ground(found.trees),
             _layers(job, found, keep_headers=keep_headers))
            for found in computed.targets
        ]  # fmt: skip
        return write_set(
            job.folder, rules, grounds, computed.record, copies=copies, locks=locks, command=job.command()
        )


def _ground(trees: Trees) -> Ground:
    return Ground(target=trees.target, kind=trees.kind, commit=trees.commit, base=trees.new)


def _copy(job: Job, patch: Patch, keep_headers: bool) -> Patch:  # noqa: FBT001 - handed through
    if not keep_headers:
        return patch
    files = headers.kept(job.folder, patch.layer, patch.target, {patch.path: patch.content})
    return replace(patch, content=files[patch.path])


def _layers(job: Job, found: TargetPort, *, keep_headers: bool) -> list[Layered]:
    fresh = []
    for made in found.layers:
        files = made.files
        if keep_headers:
            files = headers.kept(job.folder, made.layer, found.trees.target, files)
        fresh.append(
            Layered(layer=made.layer, base=made.unit.new_base, patched=made.carried.tree, files=files)
        )
    return [*(done.layered for done in found.settled), *fresh]
