"""Layers: which combinations a manifest allows, and the tree that a combination makes of a base."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from winvllm_build.errors import ConflictError, PatchError, UsageError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.lock import Combined, PatchLock, Side, TargetLock
from winvllm_build.patchset.manifest import DEFAULT_LAYER, FILE, Layer, Manifest, combinations, needed, rivals
from winvllm_build.patchset.merge import Conflict, transplant
from winvllm_build.patchset.tree import Entry
from winvllm_build.suggest import did_you_mean

if TYPE_CHECKING:
    from winvllm_build.patchset.patchset import Patch


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Layers that are applied together: the required one, then the chosen ones with all they require."""

    chosen: tuple[Layer, ...]

    @property
    def layers(self) -> tuple[str, ...]:
        """Their names in the order in which they are combined, the required one first."""
        return tuple(layer.name for layer in self.chosen)

    @property
    def optional(self) -> tuple[str, ...]:
        return self.layers[1:]

    @property
    def options(self) -> tuple[str, ...]:
        """The options that ask for it on a command line."""
        return tuple(word for name in self.optional for word in ("--layer", name))

    @property
    def words(self) -> str:
        return " + ".join(self.layers)

    def below(self, name: str) -> Selection:
        """What the patches of the layer `name` are made on top of."""
        wanted = needed({layer.name: layer for layer in self.chosen}, name) | {DEFAULT_LAYER.name}
        below = () if name == DEFAULT_LAYER.name else wanted - {name}
        return Selection(chosen=tuple(layer for layer in self.chosen if layer.name in below))

    def key(self, populated: Collection[str]) -> str:
        """Its name in the lock; layers without patches do not count."""
        return "+".join(name for name in self.layers if name in populated)


def select(manifest: Manifest, names: Sequence[str] = ()) -> Selection:
    """The required layer, those asked for, and all that they require.

    Raises:
        UsageError: no such layer, or two that conflict.
    """
    layers = {layer.name: layer for layer in manifest.layers}
    for name in names:
        if name not in layers:
            raise UsageError(
                f"no layer named {name!r} in the manifest{did_you_mean(name, layers)}",
                fix=f"known: {', '.join(layers)}; others are declared in {FILE}",
            )
    wanted = {DEFAULT_LAYER.name, *(one for name in names for one in needed(layers, name))}
    for name in sorted(wanted):
        for rival in sorted(rivals(layers, name) & wanted):
            raise UsageError(
                f"the layers {name} and {rival} conflict{_because(layers, names, (name, rival))}",
                fix="leave out one of them",
            )
    return Selection(chosen=tuple(layer for layer in manifest.layers if layer.name in wanted))


def selections(manifest: Manifest) -> tuple[Selection, ...]:
    """Every combination that the manifest allows, the required layer alone first."""
    return tuple(Selection(chosen=chosen) for chosen in combinations(manifest.layers))


def compose(git: Git, patches: Sequence[Patch], selection: Selection, base: Oid, *, fix: str) -> Oid:
    """The tree that `selection` makes of `base`.

    Args:
        git: a scratch repository (`worktree.scratch_of`) on the objects of the base.
        patches: those of one target; patches of other layers do not count.
        selection: the layers.
        base: upstream's tree.
        fix: what to do when git refuses a patch.

    Raises:
        PatchError: a patch is made for other files.
        ConflictError: two layers change the same lines; both are named, with the files.
    """
    return Composer(git, patches, base, fix=fix).tree(selection)


def layer_base(
    git: Git, patches: Sequence[Patch], manifest: Manifest, layer: str, base: Oid, *, fix: str
) -> Oid:
    """The tree that the patches of `layer` are made for; arguments and errors as in `compose`."""
    return Composer(git, patches, base, fix=fix).below(select(manifest, [layer]), layer)


class Composer:
    """The trees of many selections on one base, each part computed once."""

    def __init__(self, git: Git, patches: Sequence[Patch], base: Oid, *, fix: str) -> None:
        self.git = git
        self.base = base
        self.patches: dict[str, list[Patch]] = {}
        for patch in patches:
            self.patches.setdefault(patch.layer, []).append(patch)
        self._fix = fix
        self._trees: dict[tuple[str, ...], Oid] = {}
        self._own: dict[str, Oid] = {}

    def tree(self, selection: Selection) -> Oid:
        """The tree of a selection; errors as in `compose`."""
        layers = selection.layers
        if not layers:
            return self.base
        if layers not in self._trees:
            self._trees[layers] = self._extended(selection)
        return self._trees[layers]

    def below(self, selection: Selection, layer: str) -> Oid:
        """The tree that the patches of `layer`, which is in `selection`, are made for."""
        return self.tree(selection.below(layer))

    def own(self, selection: Selection, layer: str) -> Oid:
        """The tree of `layer` alone with what it requires."""
        if layer not in self._own:
            self._own[layer] = self._patched(layer, self.below(selection, layer))
        return self._own[layer]

    def put(self, layer: str, patches: Sequence[Patch]) -> None:
        """Give a layer other patches, before any tree with it is asked for."""
        self.patches[layer] = [*patches]

    def touching(self, layers: Sequence[str], path: RepoPath) -> list[str]:
        """Those of `layers` that have a patch of `path`."""
        return [name for name in layers if any(p.path == path for p in self.patches.get(name, ()))]

    def _extended(self, selection: Selection) -> Oid:
        before = Selection(chosen=selection.chosen[:-1])
        name = selection.layers[-1]
        onto, base = self.tree(before), self.below(selection, name)
        changed = self.own(selection, name)
        if base in (onto, changed):
            return changed if base == onto else onto
        merged = transplant(self.git, base=base, changed=changed, onto=onto)
        if merged.conflicts:
            others = [other for other in before.layers if other not in selection.below(name).layers]
            raise self._conflict(name, others, merged.conflicts)
        return merged.tree

    def _patched(self, layer: str, base: Oid) -> Oid:
        patches = self.patches.get(layer, [])
        made = tree.compute(self.git, base, [patch.content.diff for patch in patches], fix=self._fix)
        if layer != DEFAULT_LAYER.name:
            actual = tree.difference(self.git, base, made)
            expected = {p.path: _step(p, actual.get(p.path)) for p in patches}
            what = f"the patches of the layer {layer} do not fit what it is made on top of"
            tree.prove(expected, actual, what=what, fix=self._fix)
        return made

    def _conflict(
        self, layer: str, others: Sequence[str], conflicts: Mapping[RepoPath, Conflict]
    ) -> ConflictError:
        found = {path: self.touching(others, path) for path in conflicts}
        against = [name for name in others if any(name in names for names in found.values())] or [*others]
        lines = [
            f"  {path}: {', '.join(dict.fromkeys(conflict.kinds)) or 'contents'} "
            f"({' and '.join([layer, *(found[path] or against)])})"
            for path, conflict in conflicts.items()
        ]
        return ConflictError(
            f"the layers {' and '.join([layer, *against])} cannot be combined:\n" + "\n".join(lines),
            fix=f'if they are never wanted together, write conflicts = ["{against[-1]}"] in [layer.{layer}] '
            f'of {FILE}; if {layer} is meant to be on top, write requires = ["{against[-1]}"] there and '
            f"regenerate it on that tree; else change one of them so that they do not meet",
        )


def entries(locked: TargetLock, selection: Selection) -> dict[RepoPath, Entry]:
    """What `selection` does to each file, upstream's and final ids and modes, as the lock knows it.

    A file that ends as upstream has it is left out.

    Raises:
        PatchError: the lock does not know this combination.
    """
    key = selection.key(locked.layers)
    found: dict[RepoPath, Entry] = {}
    for path, locks in _by_path(locked, selection).items():
        side = locked.combined.get(path, {}).get(key)
        if side is None and len(locks) > 1:
            raise PatchError(
                f"the lock does not know what {path} becomes with the layers {selection.words}",
                fix="write it anew with `winvllm-build regen TAG --relock`",
            )
        last = side or Side(oid=locks[0].post, mode=locks[0].modes[1])
        first = Side(oid=locks[0].pre, mode=locks[0].modes[0])
        if first != last:
            found[path] = Entry(pre=first.oid, post=last.oid, modes=(first.mode, last.mode))
    return dict(sorted(found.items()))


def unproven(locked: TargetLock, manifest: Manifest) -> Iterator[tuple[RepoPath, str]]:
    """Each file whose content the lock does not know in an allowed combination: path and words."""
    if not locked.optional:
        return
    for key, selection in distinct(manifest, locked.layers).items():
        for path, locks in _by_path(locked, selection).items():
            if len(locks) > 1 and key not in locked.combined.get(path, {}):
                yield path, f"the lock does not know it with the layers {selection.words}"


def combine(composer: Composer, locked: TargetLock, manifest: Manifest) -> Combined:
    """Compose and prove every allowed combination; what the lock has to say about them.

    Args:
        composer: has the same patches as `locked`.
        locked: without `combined`.
        manifest: says what is allowed.

    Raises:
        ConflictError: two layers that may be together cannot be.
        PatchError: a patch does not fit, or there are too many combinations.
    """
    found: dict[RepoPath, dict[str, Side]] = {}
    for key, selection in distinct(manifest, locked.layers).items():
        actual = tree.difference(composer.git, composer.base, composer.tree(selection))
        touched = _by_path(locked, selection)
        for path, locks in touched.items():
            entry = actual.get(path)
            upstream = Side(oid=locks[0].pre, mode=locks[0].modes[0])
            side = upstream if entry is None else Side(oid=entry.post, mode=entry.modes[1])
            if len(locks) > 1 or side != Side(oid=locks[0].post, mode=locks[0].modes[1]):
                found.setdefault(path, {})[key] = side
        stray = sorted(actual.keys() - touched.keys())
        if stray:
            raise PatchError(
                f"together the layers {selection.words} change files that none has a patch of: "
                f"{', '.join(stray)}",
                fix=f"declare in {FILE} that they conflict",
            )
    return found


def verify(composer: Composer, locked: TargetLock, manifest: Manifest, *, fix: str) -> None:
    """Prove every allowed combination on another base than the one it was locked on.

    Raises:
        PatchError: a file becomes something else there.
        ConflictError: two layers cannot be combined there.
    """
    for selection in distinct(manifest, locked.layers).values():
        actual = tree.difference(composer.git, composer.base, composer.tree(selection))
        what = f"the layers {selection.words} make something else of this tree"
        tree.prove(entries(locked, selection), actual, what=what, fix=fix)


def distinct(manifest: Manifest, populated: Collection[str]) -> dict[str, Selection]:
    """The allowed combinations that differ in layers with patches, by their name in the lock."""
    found: dict[str, Selection] = {}
    for selection in selections(manifest):
        found.setdefault(selection.key(populated), selection)
    return found


def _by_path(locked: TargetLock, selection: Selection) -> dict[RepoPath, list[PatchLock]]:
    """The patches of each file, in the order of the layers."""
    found: dict[RepoPath, list[PatchLock]] = {}
    for name in selection.layers:
        for path, patch in locked.of(name).items():
            found.setdefault(path, []).append(patch)
    return found


def _step(patch: Patch, actual: Entry | None) -> Entry:
    """What a patch promises; git names no ids in a change of mode alone."""
    pre, post = (actual.pre, actual.post) if actual else (patch.pre, patch.post)
    return tree.entry_of(patch.content.diff, pre, post)


def _because(layers: Mapping[str, Layer], names: Sequence[str], pair: tuple[str, str]) -> str:
    """Who asked for a layer that nobody named."""
    told = [
        f"{name} requires {one}"
        for one in pair
        for name in names
        if one not in names and one in needed(layers, name)
    ]
    return f" ({', '.join(told)})" if told else ""
