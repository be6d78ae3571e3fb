"""A patch set carried to many releases at once, in objects alone: which patch stops where."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from packaging.version import Version

from winvllm_build.errors import WinvllmError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.intake.unpinned import ReleasedTag
from winvllm_build.patchset.patchset import MAIN_TARGET, Patch, PatchSet
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port.columns import Column, Sources
from winvllm_build.port.details import Blocks, Details
from winvllm_build.port.matrix import Report, Row
from winvllm_build.port.trees import Trees
from winvllm_build.port.units import LayerPort, OldSet, carry_layers, selection_of
from winvllm_build.port.verdict import Verdict
from winvllm_build.review.find import listed
from winvllm_build.sources.source import Source

MOST_JOBS: Final = 8
"""More git processes than this wait for the disk, not for the processor."""

STRAY: Final = "(a conflict that no patch was found for)"
Key = tuple[str, RepoPath]
"""Layer and path of a patch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a report is; `left` is a guess in seconds, None while there is nothing to guess from."""

    done: int
    total: int
    tag: str
    left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """One release, carried; `failures` are layers that could not be tried, with the reason."""

    verdicts: Mapping[Key, Verdict]
    details: Mapping[Key, Blocks]
    failures: Mapping[str, str]
    seconds: float


def report(
    sources: Sources, tags: Sequence[ReleasedTag], *, on_progress: Callable[[Progress], None],
    known: Sequence[ReleasedTag] = (), jobs: int | None = None, detailed: bool = False,
) -> Report:  # fmt: skip
    """Carry the set of `sources` to each of `tags`, several at a time.

    Only vLLM's own tree is looked at: what a release's dependencies are is known once it has a manifest.

    Args:
        sources: the set and where the files come from.
        tags: the releases.
        on_progress: told when a release's files are wanted and when it is done.
        known: all releases there are, to say which ones in between were left out.
        jobs: how many at a time; None is one for each processor.
        detailed: keep what differs in each cell, too.

    Raises:
        SourceError: the old tag's files cannot be had, or an archive is not what it should be.
        PatchError: the set does not fit its own tag.
    """
    begun = time.monotonic()
    objects = sources.first().repository / "objects"
    with scratch_of(objects) as git, _pool(jobs or min(os.cpu_count() or 1, MOST_JOBS)) as pool:
        work = _Work(git, sources, detailed=detailed)
        pace = _Pace(len(tags), on_progress)
        columns: list[Column] = []
        waiting: dict[Future[_Made], str] = {}
        for column in sources.columns(tags[::-1], on_tag=pace.wanted):  # the newest take longest
            columns.insert(0, column)
            if column.source is not None:
                waiting[pool.submit(work.carry, *work.prepared(column.source))] = column.tag
        pace.begin(len(waiting))
        made: dict[str, _Made] = {}
        for future in as_completed(waiting):
            made[waiting[future]] = future.result()
            pace.done(waiting[future])
    seen = _report(sources.old, columns, made, time.monotonic() - begun)
    return replace(seen, unseen=_unseen(seen, known))


@contextmanager
def _pool(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that begin nothing new once something went wrong."""
    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="carry")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


class _Work:
    """The set, read once, for all releases."""

    def __init__(self, git: Git, sources: Sources, *, detailed: bool) -> None:
        self.git = git
        self.sources = sources
        self.manifest = sources.old.manifest
        self.patches = sources.old.of(MAIN_TARGET)
        self.details = Details(git) if detailed else None
        self._old: dict[Oid, OldSet] = {}

    def prepared(self, source: Source) -> tuple[OldSet, Trees]:
        """The old side for one release; read here, so that threads only look at it."""
        base = self.sources.base_for(source)
        if base not in self._old:
            made = OldSet(self.git, self.patches, base)
            for layer in dict.fromkeys(patch.layer for patch in self.patches):
                made.side(selection_of(self.manifest, layer), layer)
            self._old[base] = made
        trees = Trees(
            target=MAIN_TARGET, repository=source.repository, old=base, new=source.tree,
            commit=source.commit, kind=source.kind.value,
        )  # fmt: skip
        return self._old[base], trees

    def carry(self, old: OldSet, trees: Trees) -> _Made:
        begun = time.monotonic()
        verdicts: dict[Key, Verdict] = {}
        details: dict[Key, Blocks] = {}
        failures: dict[str, str] = {}
        open_below: dict[RepoPath, str] = {}
        for made in self._layers(old, trees, failures):
            layer = made.layer
            for path, verdict in made.carried.verdicts.items():
                verdicts[layer, path] = _standing(verdict, open_below)
            if self.details is not None:
                before = old.side(selection_of(self.manifest, layer), layer).diffs
                found = self.details.of(made.carried, before)
                details |= {(layer, path): blocks for path, blocks in found.items()}
            for verdict in made.carried.open:
                open_below |= dict.fromkeys((verdict.path, *verdict.places), layer)
        return _Made(verdicts=verdicts, details=details, failures=failures, seconds=time.monotonic() - begun)

    def _layers(self, old: OldSet, trees: Trees, failures: dict[str, str]) -> Iterator[LayerPort]:
        """Every layer that can be carried; where one cannot, those above it cannot either."""
        begun: list[str] = []
        try:
            yield from carry_layers(
                self.git, self.patches, self.manifest, trees, on_layer=begun.append, old=old
            )
        except WinvllmError as error:
            if len(begun) < 2:  # noqa: PLR2004 - without the required layer there is nothing to report
                raise
            failures[begun[-1]] = error.message.splitlines()[0]


def _standing(verdict: Verdict, open_below: Mapping[RepoPath, str]) -> Verdict:
    """With a word about a patch below it that is open: it was carried onto upstream's file instead."""
    layer = open_below.get(verdict.to or verdict.path) or open_below.get(verdict.path)
    if layer is None:
        return verdict
    words = f"the layer {layer}, on which it is made, is open here: tried on upstream's file"
    return replace(verdict, evidence=(*verdict.evidence, words))


class _Pace:
    """Tells how far it is."""

    def __init__(self, total: int, tell: Callable[[Progress], None]) -> None:
        self._total, self._tell = total, tell
        self._count = 0
        self._begun = time.monotonic()

    def begin(self, total: int) -> None:
        self._total, self._count, self._begun = total, 0, time.monotonic()

    def wanted(self, tag: str) -> None:
        self._tell(Progress(done=self._count, total=self._total, tag=tag, left=None))
        self._count += 1

    def done(self, tag: str) -> None:
        self._count += 1
        each = (time.monotonic() - self._begun) / self._count
        left = each * (self._total - self._count)
        self._tell(Progress(done=self._count, total=self._total, tag=tag, left=left))


def _report(old: PatchSet, columns: Sequence[Column], made: Mapping[str, _Made], seconds: float) -> Report:
    patches = {(patch.layer, patch.path): patch for patch in old.patches if patch.target == MAIN_TARGET}
    order = [column.tag for column in columns if column.tag in made]
    found = {tag: made[tag] for tag in order}
    strays = {key for one in made.values() for key in one.verdicts} - patches.keys()
    rows = [_row(patch.layer, patch.path, patch, found) for patch in patches.values()]
    rows += [_row(layer, path, None, found) for layer, path in sorted(strays)]
    return Report(
        old=old.tag, columns=tuple(columns), rows=tuple(rows), seconds=seconds,
        column_seconds={tag: one.seconds for tag, one in found.items()}, notes=tuple(_notes(old, found)),
    )  # fmt: skip


def _unseen(made: Report, known: Sequence[ReleasedTag]) -> dict[str, tuple[str, ...]]:
    """For each release that was looked at, those since the one before (or the old tag) that were not."""
    seen = {column.tag for column in made.columns if column.source is not None}
    listed = {tag.tag: tag.version for tag in known} | {
        tag: tag.removeprefix("v") for tag in (made.old, *made.tags)
    }
    found: dict[str, tuple[str, ...]] = {}
    left_out: list[str] = []
    for tag in sorted(listed, key=lambda tag: Version(listed[tag])):
        if tag == made.old:
            left_out = []
        elif tag in seen:
            found[tag], left_out = tuple(left_out), []
        elif tag in made.tags or not Version(listed[tag]).is_prerelease:
            left_out.append(tag)
    return {tag: before for tag, before in found.items() if before}


def _row(layer: str, path: RepoPath, patch: Patch | None, made: Mapping[str, _Made]) -> Row:
    key = (layer, path)
    return Row(
        layer=layer, path=path,
        subject=STRAY if patch is None else patch.content.header.subject,
        topics=() if patch is None else tuple(listed(patch.content.header, "Topic")),
        verdicts={tag: one.verdicts[key] for tag, one in made.items() if key in one.verdicts},
        details={tag: one.details[key] for tag, one in made.items() if key in one.details},
    )  # fmt: skip


def _notes(old: PatchSet, made: Mapping[str, _Made]) -> Iterator[str]:
    for name in sorted({patch.target for patch in old.patches} - {MAIN_TARGET}):
        yield f"patches of {name} are not looked at: which revision a release wants is not known here"
    for tag, one in made.items():
        for layer, words in one.failures.items():
            yield f"{tag}: the layer {layer} could not be tried: {words}"
