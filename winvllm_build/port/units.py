"""A patch set carried to another tree, layer by layer: each on what the layers below became there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.layers import Composer, Selection, select
from winvllm_build.patchset.manifest import Manifest
from winvllm_build.patchset.patchfile import PatchFile
from winvllm_build.patchset.patchset import Patch
from winvllm_build.port.carry import Carried, OldSide, Unit, carry, old_side
from winvllm_build.port.notes import header_of
from winvllm_build.port.trees import Trees

_FIX: Final = "regenerate the layers of the old set, then port again"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPort:
    """One layer of one source tree, carried.

    Attributes:
        layer: its name.
        unit: the three trees.
        carried: the verdicts and the clean diffs.
        files: the clean patches with their headers, by their path in the new tag.
    """

    layer: str
    unit: Unit
    carried: Carried
    files: Mapping[RepoPath, PatchFile]


class OldSet:
    """The old set's trees and diffs, computed once for as many new tags as one likes."""

    def __init__(self, git: Git, patches: Sequence[Patch], base: Oid) -> None:
        self.git = git
        self.composer = Composer(git, patches, base, fix=_FIX)
        self._sides: dict[str, OldSide] = {}

    def side(self, selection: Selection, layer: str) -> OldSide:
        if layer not in self._sides:
            composer = self.composer
            pair = composer.below(selection, layer), composer.own(selection, layer)
            self._sides[layer] = old_side(self.git, *pair)
        return self._sides[layer]


def carry_layers(
    git: Git, patches: Sequence[Patch], manifest: Manifest, trees: Trees, *, resolve: bool = True,
    settled: Mapping[str, Sequence[Patch]] | None = None, on_layer: Callable[[str], None] | None = None,
    old: OldSet | None = None,
) -> Iterator[LayerPort]:  # fmt: skip
    """Each layer that has patches, in the order in which layers are combined.

    A layer is carried onto what the layers it is made on top of became, so a layer above one with open
    patches stands on upstream's state of those files.

    Args:
        git: a scratch repository that has both trees.
        patches: the old set's, of one source tree.
        manifest: the old set's.
        trees: the source at both tags.
        resolve: settle conflicts that have one answer.
        settled: layers of the new set that are done already, which are taken instead of being carried.
        on_layer: told which layer is next.
        old: what was read for another tag already.
    """
    before = old or OldSet(git, patches, trees.old)
    done: list[Patch] = []
    for layer in (found.name for found in manifest.layers if found.name in before.composer.patches):
        selection = selection_of(manifest, layer)
        if settled is not None and layer in settled:
            done += settled[layer]
            continue
        if on_layer is not None:
            on_layer(layer)
        after = Composer(git, done, trees.new, fix=_FIX)
        made = _carry(git, before, after, selection, layer, resolve=resolve)
        yield made
        done += patches_of(git, made, trees.target)


def selection_of(manifest: Manifest, layer: str) -> Selection:
    """A layer with all that it is made on top of."""
    return select(manifest, () if layer == manifest.layers[0].name else (layer,))


def _carry(
    git: Git, before: OldSet, after: Composer, selection: Selection, layer: str, *, resolve: bool
) -> LayerPort:
    unit = Unit(
        old_base=before.composer.below(selection, layer),
        old_patched=before.composer.own(selection, layer),
        new_base=after.below(selection, layer),
    )
    carried = carry(git, unit, resolve=resolve, old=lambda: before.side(selection, layer))
    old = {patch.path: patch.content for patch in before.composer.patches[layer]}
    files: dict[RepoPath, PatchFile] = {}
    for path, diff in carried.diffs.items():
        was = old[carried.sources[path]]
        files[path] = PatchFile(header=header_of(was.header, was.diff, diff), diff=diff)
    return LayerPort(layer=layer, unit=unit, carried=carried, files=files)


def patches_of(git: Git, made: LayerPort, target: str) -> list[Patch]:
    """The carried patches of a layer; their files are not on disk yet."""
    steps = tree.difference(git, made.unit.new_base, made.carried.tree)
    return [
        Patch(
            layer=made.layer, target=target, file=Path(), content=file, pre=steps[path].pre,
            post=steps[path].post,
        )
        for path, file in made.files.items()
    ]  # fmt: skip
