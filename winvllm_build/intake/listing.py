"""Every tag that is known here: with a patch set, with a cached source, or released."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from winvllm_build.errors import UNOBTAINABLE
from winvllm_build.git import Git
from winvllm_build.index import Index
from winvllm_build.intake.unpinned import released_tags
from winvllm_build.patchset import lock, patchset
from winvllm_build.patchset.patchfile import SUFFIX
from winvllm_build.workspace import Workspace

DEPENDENCIES: Final = "deps"
"""The repository of the dependencies; its refs are no tags of vLLM."""
REF: Final = "refs/winvllm/"
KIND: Final = "/base-"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTag:
    """One tag.

    Attributes:
        tag: its name.
        has_set: it has a manifest.
        locked: its patches are proven: there is a lock.
        layers: the number of patches in each layer.
        cached: the kinds of source that are here: git, sdist, local.
        sdist: whether the index has a source archive; None where that is not known.
    """

    tag: str
    has_set: bool = False
    locked: bool = False
    layers: Mapping[str, int]
    cached: tuple[str, ...] = ()
    sdist: bool | None = None

    @property
    def patches(self) -> int:
        return sum(self.layers.values())


def known_tags(
    root: Path, *, workspace: Workspace, index: Index | None, on_event: Callable[[str], None]
) -> tuple[KnownTag, ...]:
    """Every tag, oldest first.

    Args:
        root: the folder of all patch sets.
        workspace: where sources are kept.
        index: the package index; None asks none.
        on_event: told if the index does not answer.
    """
    sets = patchset.tags(root) if root.is_dir() else ()
    cached = _cached(workspace)
    released = _released(index, on_event)
    names = sorted({*sets, *cached, *released}, key=order)
    return tuple(
        KnownTag(
            tag=tag, has_set=tag in sets, locked=(root / tag / lock.FILE).is_file(),
            layers=_layers(root / tag) if tag in sets else {}, cached=cached.get(tag, ()),
            sdist=released.get(tag),
        )
        for tag in names
    )  # fmt: skip


def order(tag: str) -> tuple[int, Version, str]:
    """Releases by their versions, other names before them."""
    try:
        return 1, Version(tag.removeprefix("v")), tag
    except InvalidVersion:
        return 0, Version("0"), tag


def _released(index: Index | None, on_event: Callable[[str], None]) -> dict[str, bool]:
    if index is None:
        return {}
    try:
        return {one.tag: one.has_sdist for one in released_tags(index)}
    except UNOBTAINABLE as error:
        on_event(f"the releases are not known: {error.message}")
        return {}


def _cached(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """The kinds of source by tag, from the refs that keep their commits."""
    found: dict[str, tuple[str, ...]] = {}
    for repository in sorted(workspace.sources.glob("*/repo.git")):
        if repository.parent.name == DEPENDENCIES:
            continue
        listed = Git(repository).out("for-each-ref", "--format=%(refname)", REF).decode("utf-8", "replace")
        for name in listed.splitlines():
            tag, base, kind = name.removeprefix(REF).rpartition(KIND)
            if base and "/" not in tag:
                found[tag] = (*found.get(tag, ()), kind)
    return found


def _layers(folder: Path) -> dict[str, int]:
    """The patch files of each layer; they are counted, not read."""
    counted = {
        layer.name: sum(1 for file in layer.rglob(f"*{SUFFIX}") if file.is_file())
        for layer in sorted(folder.iterdir())
        if layer.is_dir() and not layer.name.startswith(".")
    }
    return {name: number for name, number in counted.items() if number}
