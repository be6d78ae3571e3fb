"""Which layer an edit goes to, and what the other layers become on top of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from winvllm_build.errors import ConflictError, PatchError, TreeStateError, UsageError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import advice, rewrite, tree
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.layers import Composer, Selection, distinct, select
from winvllm_build.patchset.lock import Side
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.merge import Conflict, transplant
from winvllm_build.patchset.older import applied_tree
from winvllm_build.patchset.ondisk import NOT_STAGED, index_entries
from winvllm_build.patchset.patchfile import PatchFile
from winvllm_build.patchset.patchset import Draft
from winvllm_build.patchset.reheader import headers_of
from winvllm_build.patchset.rewrite import Content
from winvllm_build.patchset.worktree import Worktree

REQUIRED: Final = DEFAULT_LAYER.name


Accept = Callable[[Mapping[RepoPath, Diff]], None]
"""Refuses what may not become the patches of the layer that the edits go to."""


class Stack:
    """The layers of a source tree as they are in the patch files, on the tree of a worktree's HEAD."""

    def __init__(self, git: Git, place: Worktree, draft: Draft, target: str) -> None:
        self.git = git
        self.place = place
        self.draft = draft
        self.target = target
        self.patches = [patch for patch in draft.patches if patch.target == target]
        away = ", ".join(self.optional) or "the layers"
        fix = (
            f"take the patch files back as they were locked; if they are of another tag, move the folders of "
            f"{away} out of {draft.folder} until the required layer is written"
        )
        self.old = Composer(git, self.patches, place.base, fix=fix)

    @property
    def optional(self) -> tuple[str, ...]:
        """The optional layers that have patches here."""
        here = {patch.layer for patch in self.patches}
        return tuple(layer.name for layer in self.draft.manifest.layers if layer.name in here - {REQUIRED})

    def command(self, verb: str, *options: str) -> str:
        draft = self.draft
        return advice.command(
            verb, draft.tag, *options, root=draft.root, tree=self.place.folder, target=self.target
        )

    def select(self, *names: str) -> Selection:
        return select(self.draft.manifest, names)

    def applied(self, made: Oid) -> Selection | None:
        """The layers that the worktree has, edited or not; None for another version of them.

        Args:
            made: the tree of its files.
        """
        trees = self._trees()
        there = applied_tree(self.place, self.draft.tag, self.target)
        for known in (there, made):
            found = next((chosen for chosen, oid in trees.items() if oid == known), None)
            if found is not None:
                return found
        if there is not None:
            return None
        return self._staged(trees) or self.select()

    def _trees(self) -> dict[Selection, Oid]:
        """The tree of every combination, the smaller ones first; what conflicts cannot be applied."""
        found = {}
        for selection in distinct(self.draft.manifest, [*self.optional, REQUIRED]).values():
            try:
                found[selection] = self.old.tree(selection)
            except ConflictError:
                continue
        return found

    def _staged(self, trees: Mapping[Selection, Oid]) -> Selection | None:
        """The layers whose files the index has."""
        sides = {
            chosen: {path: (Side(oid=e.pre, mode=e.modes[0]), Side(oid=e.post, mode=e.modes[1]))
                     for path, e in tree.difference(self.git, self.place.base, oid).items()}
            for chosen, oid in trees.items()
        }  # fmt: skip
        upstream = {path: pair[0] for found in sides.values() for path, pair in found.items()}
        staged = index_entries(self.place, upstream)
        index = {path: staged.get(path, NOT_STAGED).side for path in upstream}
        return next(
            (
                chosen
                for chosen, found in sides.items()
                if found and index == upstream | {path: pair[1] for path, pair in found.items()}
            ),
            None,
        )


def target_layer(stack: Stack, applied: Selection, asked: str | None) -> str:
    """The layer that the edits go to.

    Raises:
        UsageError: nobody said which, and there are several.
    """
    if asked is not None or not applied.optional:
        return asked or REQUIRED
    commands = [stack.command("regen", "--layer", name) for name in applied.layers]
    raise UsageError(
        f"{stack.place.folder} has the layers {applied.words}; the edits could belong to each of them",
        fix="\n".join(["say which layer they go to:", *(f"  {command}" for command in commands)]),
    )


def restacked(
    stack: Stack, applied: Selection, layer: str, made: Oid, *, headers: Path | None, accept: Accept
) -> tuple[Content, ...]:
    """Every layer as it has to be, so that the set with the layers `applied` gives exactly the tree `made`.

    The edits go to `layer`. Layers on top of it are carried over by merge, the rest stays as it is.

    Args:
        stack: the layers as they are.
        applied: those that the worktree has.
        layer: where the edits go.
        made: the tree of its files.
        headers: a folder of headers for `layer`.
        accept: is shown the new patches of `layer`.

    Raises:
        TreeStateError: `layer` is not applied.
        ConflictError: the edits cannot be told from another layer's changes, or one cannot be carried over.
        PatchError: the patch files are for another tree.
    """
    applied = _with(stack, applied, layer)
    _refuse_damaged(stack, layer)
    own = _own_tree(stack, applied, layer, made)
    new = Composer(stack.git, [], stack.place.base, fix=stack.command("status"))
    contents = []
    for known in stack.draft.manifest.layers:
        if known.name == layer:
            base = new.below(stack.select(layer), layer)
            content = edited(stack, layer, base=base, made=own, headers=headers, accept=accept)
        else:
            content = _kept(stack, new, known.name)
        new.put(known.name, content.patches(stack.git, stack.draft.folder, stack.target))
        if content.files or known.name == REQUIRED:
            contents.append(content)
    _prove(stack, new, applied, layer, made)
    return tuple(contents)


def _with(stack: Stack, applied: Selection, layer: str) -> Selection:
    """`applied` with `layer`, which may be new and without patches."""
    if layer in applied.layers:
        return applied
    switch = stack.command("apply", "--layer", layer, "--restore")
    refusal = TreeStateError(
        f"{stack.place.folder} has the layers {applied.words}, not {layer}",
        fix=f"{switch} (saves your edits as a commit), then edit again",
    )
    try:
        both = stack.select(*applied.optional, layer)
    except UsageError as error:
        raise refusal from error
    if stack.old.tree(both) != stack.old.tree(applied):
        raise refusal
    return both


def _refuse_damaged(stack: Stack, layer: str) -> None:
    """Refuse patch files of other layers that the lock does not know: they are what is carried over."""
    locked = stack.draft.locked(stack.target)
    wrong = list(stack.draft.differing(stack.target, locked, leave_out=layer)) if locked else []
    if wrong:
        listed = "\n".join(f"  {words}" for _, words in wrong)
        root, tag = stack.draft.root, stack.draft.tag
        raise PatchError(
            f"the lock does not fit the patch files of other layers:\n{listed}",
            fix=advice.restore(
                [file for file, _ in wrong], root=root, tag=tag, tree=stack.place.folder, target=stack.target
            ),
        )


def _own_tree(stack: Stack, applied: Selection, layer: str, made: Oid) -> Oid:
    """The tree of `layer` with the edits, without those layers that it does not need."""
    alone = stack.select(layer)
    onto, base = stack.old.tree(alone), stack.old.tree(applied)
    if onto == base:
        return made
    merged = transplant(stack.git, base=base, changed=made, onto=onto)
    if merged.conflicts:
        others = [name for name in applied.layers if name not in alone.layers]
        raise ConflictError(
            f"the edits touch what the layers {', '.join(others)} change too, so that they cannot be written "
            f"to {layer}:\n{_listed(merged.conflicts)}",
            fix=_apart(stack, alone, layer, others),
        )
    return merged.tree


def edited(
    stack: Stack, layer: str, *, base: Oid, made: Oid, headers: Path | None, accept: Accept
) -> Content:
    """The layer that the edits go to: what turns `base` into `made`."""
    diffs = tree.export(stack.git, base, made)
    accept(diffs)
    return _written(stack, layer, diffs, base=base, made=made, headers=headers)


def _kept(stack: Stack, new: Composer, layer: str) -> Content:
    """Another layer: as it was, or carried over to what it is on top of now."""
    alone = stack.select(layer)
    base, before = new.below(alone, layer), stack.old.below(alone, layer)
    old = {patch.path: patch.content for patch in stack.old.patches.get(layer, ())}
    if not old:
        return Content(layer=layer, files={}, base=base, made=base)
    if base == before:
        return Content(layer=layer, files=old, base=base, made=stack.old.own(alone, layer))
    made = _carried(stack, layer, before=before, base=base)
    diffs = tree.export(stack.git, base, made)
    return _written(stack, layer, diffs, base=base, made=made, headers=None)


def _written(
    stack: Stack, layer: str, diffs: Mapping[RepoPath, Diff], *, base: Oid, made: Oid, headers: Path | None
) -> Content:
    found = headers_of(stack.draft, stack.target, layer, diffs, headers)
    files = {path: PatchFile(header=header, diff=diffs[path]) for path, header in found.items()}
    rewrite.prove(stack.git, base, made, files)
    return Content(layer=layer, files=files, base=base, made=made)


def _carried(stack: Stack, layer: str, *, before: Oid, base: Oid) -> Oid:
    """The tree of a layer on top of `base`, which was `before`."""
    changed = stack.old.own(stack.select(layer), layer)
    merged = transplant(stack.git, base=before, changed=changed, onto=base)
    if merged.conflicts:
        files = [
            f"{stack.draft.folder.name}/{layer}/{stack.target}/{path}.patch" for path in merged.conflicts
        ]
        again = stack.command("regen", "--layer", layer)
        raise ConflictError(
            f"the layer {layer} does not fit on top of these edits; nothing was written:\n"
            f"{_listed(merged.conflicts)}",
            fix=f"make the edits so that those lines stay; or delete {', '.join(files)}, lock that with "
            f"`{stack.command('regen', '--relock')}`, run this command again, and make the change of {layer} "
            f"anew: `{stack.command('apply', '--layer', layer)}`, edit, `{again}`",
        )
    return merged.tree


def _prove(stack: Stack, new: Composer, applied: Selection, layer: str, made: Oid) -> None:
    """The round trip of the whole: the new patches give the tree that is there, to the byte."""
    result = new.tree(applied)
    if result != made:
        others = [name for name in applied.layers if name not in stack.select(layer).layers]
        listed = "".join(f"\n  {path}" for path in tree.difference(stack.git, result, made))
        raise ConflictError(
            f"with these edits in {layer} the layers {applied.words} would give other files than those in "
            f"{stack.place.folder}; nothing was written:{listed}",
            fix=_apart(stack, stack.select(layer), layer, others),
        )


def _apart(stack: Stack, alone: Selection, layer: str, others: Sequence[str]) -> str:
    switch = stack.command("apply", *alone.options, "--restore")
    return (
        f"write them to one of {', '.join(others)} (`{stack.command('regen', '--layer', others[-1])}`), "
        f"or make them again where only {layer} is applied: {switch} (saves your edits as a commit)"
    )


def _listed(conflicts: Mapping[RepoPath, Conflict]) -> str:
    return "\n".join(
        f"  {path}: {', '.join(dict.fromkeys(conflict.kinds)) or 'contents'}"
        for path, conflict in conflicts.items()
    )
