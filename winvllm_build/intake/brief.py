"""The rebase brief: what has to be known before a patch set is carried from one tag to another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.choices import SourceKind
from winvllm_build.errors import UNOBTAINABLE, UsageError
from winvllm_build.git import Git
from winvllm_build.index import Index
from winvllm_build.intake import compile_set, facts, moves, patched, wants
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_pins import CMakePin
from winvllm_build.intake.compile_set import TargetChange
from winvllm_build.intake.dependencies import State, same_address
from winvllm_build.intake.moves import Moves
from winvllm_build.intake.patched import PatchedFile
from winvllm_build.intake.unpinned import URL, released_source
from winvllm_build.intake.wants import Difference, RequirementChange
from winvllm_build.patchset import patchset
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace

OnEvent = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinChange:
    """One fetched project in either tag."""

    content: str
    state: State
    old: CMakePin | None
    new: CMakePin | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """Everything that differs between two tags.

    Attributes:
        old: the older tag.
        new: the newer tag.
        moves: every file.
        targets: what is compiled.
        pins: the fetched projects.
        machine: Python, torch, CUDA, standards, Rust.
        archs: the supported architectures.
        extensions: setup.py's modules.
        requirements: packages for building and running.
        patched: the files that the older tag's patch set changes; None where it has no set.
        unread: what the newer tag's CMake files say in a way the reader does not know.
        seconds: wall time.
    """

    old: str
    new: str
    moves: Moves
    targets: tuple[TargetChange, ...]
    pins: tuple[PinChange, ...]
    machine: tuple[Difference, ...]
    archs: tuple[Difference, ...]
    extensions: tuple[Difference, ...]
    requirements: tuple[RequirementChange, ...]
    patched: tuple[PatchedFile, ...] | None
    unread: tuple[str, ...]
    seconds: float


def brief(
    root: Path,
    old: str,
    new: str,
    *,
    workspace: Workspace,
    index: Index,
    offline: bool,
    on_event: OnEvent,
) -> Brief:
    """Compare two tags by their sources; patch sets are not needed.

    Args:
        root: the folder of all patch sets.
        old: the older tag.
        new: the newer tag.
        workspace: where sources are kept.
        index: the package index.
        offline: use only what is cached or local.
        on_event: told what happens.

    Raises:
        UsageError: a tag is not the name of a release, or both are the same.
        SourceError: a source is not to be had, or does not look like vLLM.
        PatchError: the older tag's patch set cannot be read.
    """
    begun = time.monotonic()
    if old == new:
        raise UsageError(f"{old} is named twice", fix="name two tags: winvllm-build tags list")
    one, other = (
        source_of(root, tag, workspace=workspace, index=index, offline=offline, on_event=on_event)
        for tag in (old, new)
    )
    before, after = Checkout.of(one), Checkout.of(other)
    git = Git(other.repository)
    had, has = facts.read(before), facts.read(after)
    changes = moves.between(git, before.tree, after.tree)
    sources = (file.path for target in had.cmake.targets for file in target.sources)
    went = {path: changes.where(path) for path in sources}
    return Brief(
        old=old, new=new, moves=changes,
        targets=compile_set.compare(had.cmake.targets, has.cmake.targets, went),
        pins=pin_changes(had.cmake.pins, has.cmake.pins), machine=wants.machine(had, has),
        archs=wants.archs(had, has), extensions=wants.extensions(had, has),
        requirements=wants.requirements(had, has),
        patched=_patched(root, old, patched.Sides(old=before, new=after, moves=changes), git),
        unread=has.cmake.unread, seconds=time.monotonic() - begun,
    )  # fmt: skip


def source_of(
    root: Path, tag: str, *, workspace: Workspace, index: Index, offline: bool, on_event: OnEvent
) -> Source:
    """The source of a tag: the published archive if there is one, so that two tags are alike in kind.

    Raises:
        UsageError: the tag is not the name of a release.
        SourceError: it is not to be had.
    """
    if tag in patchset.tags(root):
        pin = read_pins(patchset.manifest_of(root, tag)).upstream
        for kind in (SourceKind.SDIST, SourceKind.AUTO) if pin.sdist else (SourceKind.AUTO,):
            try:
                return acquire(
                    pin, kind=kind, location=None, workspace=workspace, offline=offline, on_event=on_event,
                    index=index,
                )  # fmt: skip
            except UNOBTAINABLE as error:
                if kind is SourceKind.AUTO:
                    raise
                on_event(f"not taken: {error.message}")
    return released_source(
        tag, workspace=workspace, index=index, offline=offline, on_event=on_event, url=URL
    )[1]


def pin_changes(old: Sequence[CMakePin], new: Sequence[CMakePin]) -> tuple[PinChange, ...]:
    """The fetched projects of both tags by their FetchContent names, those of the new one first."""
    before = {pin.content: pin for pin in old}
    after = {pin.content: pin for pin in new}
    return tuple(
        PinChange(
            content=content, state=_state(before.get(content), after.get(content)),
            old=before.get(content), new=after.get(content),
        )
        for content in dict.fromkeys([*after, *before])
    )  # fmt: skip


def _state(old: CMakePin | None, new: CMakePin | None) -> State:
    if old is None:
        return State.NEW
    if new is None:
        return State.GONE
    same = old.revision == new.revision and same_address(old.url, new.url)
    return State.SAME if same else State.MOVED


def _patched(root: Path, tag: str, sides: patched.Sides, git: Git) -> tuple[PatchedFile, ...] | None:
    if tag not in patchset.tags(root):
        return None
    return patched.compare(patchset.read(root, tag, lenient=True), sides, git)
