"""Writing the patch files anew from an edited worktree, proven before anything is written."""

from __future__ import annotations

import contextlib
import fnmatch
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from winvllm_build import data
from winvllm_build.errors import TreeStateError, UsageError
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath
from winvllm_build.patchset import advice, base, manifest, materialise, patchset, pending, rewrite, tree
from winvllm_build.patchset.apply import OnEvent
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.layers import Composer
from winvllm_build.patchset.lineends import refuse_crlf
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.older import applied_tree, kept_ref
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft
from winvllm_build.patchset.restack import Accept, Stack, edited, restacked, target_layer
from winvllm_build.patchset.rewrite import Content, Job, RegenResult
from winvllm_build.patchset.worktree import Worktree, open_worktree, scratch, snapshot, unfinished, untracked
from winvllm_build.suggest import did_you_mean
from winvllm_build.workspace import locked, storage_errors

SCREENFUL: Final = 20
OUTSIDE: Final = re.compile(r"^(?:/|[A-Za-z]:)|(?:^|/)\.\.(?:/|$)")


def regen(
    patch_set_root: Path, tag: str, worktree: Path, *, on_event: OnEvent, layer: str | None = None,
    target: str = MAIN_TARGET, new: tuple[str, ...] = (), headers: Path | None = None, check: bool = False,
    allow_empty: bool = False,
) -> RegenResult:  # fmt: skip
    """Write one patch per file that differs from HEAD in `worktree`, headers and hunk notes kept.

    Args:
        patch_set_root: the folder of all patch sets.
        tag: which one; its manifest has to exist, patches and lock need not.
        worktree: a worktree of the tag with the patches applied and edited.
        on_event: told what happens, one sentence each.
        layer: the layer whose patches are written anew; None: the required one, if no other is applied.
        target: which source tree of the set.
        new: globs of the untracked files to take in.
        headers: a folder of `<path>.hdr` files that replace the headers of those paths.
        check: write nothing; differences are an error.
        allow_empty: an unchanged tree is meant: remove all patches.

    Raises:
        UsageError: no such layer or target, several layers are applied and none is named, or the patch sets
            belong to the installed package.
        ConflictError: another layer does not fit on top of the edits, or they cannot be told from its own.
        TreeStateError: unmerged, another HEAD, untracked files, CRLF brought into a file, or no change.
        PatchError: a malformed patch, header or manifest, or a change that no patch may make.
        FindingsError: the check found differences.
        StorageError: the disk refused; a later run finishes.
        BusyError: another run works on this tree.
    """
    begun = time.monotonic()
    options = _options(layer, new, headers, allow_empty=allow_empty)
    again = advice.command("regen", tag, *options, root=patch_set_root, tree=worktree, target=target)
    if not check:
        _refuse_installed(patch_set_root, again)
    place = open_worktree(worktree)
    guard = contextlib.nullcontext() if check else locked(place.lock_file, f"the tree {place.folder}")
    with guard, scratch(place, keep=not check) as git:
        if not check:
            materialise.remove_leftovers(place)
            _finish(place, patch_set_root / tag, on_event)
        draft = _read(patch_set_root, tag, place, on_event, target=target)
        if layer is not None:
            _refuse_unknown("layer", layer, [known.name for known in draft.manifest.layers])
        _refuse_unready(place, draft, target)
        with storage_errors(str(git.folder)):
            made = snapshot(place, git, _new_files(place, new))
        stack = Stack(git, place, draft, target)
        contents = _contents(stack, layer, made, headers, allow_empty=allow_empty)
        job = Job(
            git=git, head=place.head, base=place.base, draft=draft, target=target, command=again,
            on_event=on_event,
        )  # fmt: skip
        journal = place.regen_journal if len(contents) > 1 else None
        result = rewrite.carry_out(rewrite.plan(job, contents), begun, check=check, journal=journal)
        if not check:
            was = [patch.path for patch in draft.patches if patch.target == target]
            place.git.out("update-ref", kept_ref(tag, target), made)  # before what another git may hold up
            with storage_errors(str(place.folder)):
                materialise.set_index(place, _index_moves(git, place, made, was))
        return result


def relock(
    patch_set_root: Path, tag: str, worktree: Path, *, on_event: OnEvent, target: str = MAIN_TARGET
) -> RegenResult:
    """Take the patch files as they are: prove them on `worktree`'s HEAD, write canonical bytes and the lock.

    Raises:
        UsageError: no such target, or the patch sets belong to the installed package.
        TreeStateError: HEAD is not the tag's commit, nor the one made of its archive.
        PatchError: they do not turn exactly their pre into exactly their post ids.
    """
    begun = time.monotonic()
    again = advice.command("regen", tag, "--relock", root=patch_set_root, tree=worktree, target=target)
    _refuse_installed(patch_set_root, again)
    place = open_worktree(worktree)
    with locked(place.lock_file, f"the tree {place.folder}"), scratch(place) as git:
        _finish(place, patch_set_root / tag, on_event)
        draft = _read(patch_set_root, tag, place, on_event, target=target)
        base.refuse_unknown(place, draft, target)
        anew = advice.command("regen", tag, root=patch_set_root, tree=place.folder, target=target)
        fix = f"correct the files named above, or write them from an edited tree: {anew}"
        contents = _as_they_are(Stack(git, place, draft, target), fix)
        job = Job(
            git=git, head=place.head, base=place.base, draft=draft, target=target, command=again,
            on_event=on_event,
        )  # fmt: skip
        return rewrite.carry_out(rewrite.plan(job, contents), begun, check=False)


def _finish(place: Worktree, folder: Path, on_event: OnEvent) -> None:
    words = pending.finish(place.regen_journal, folder)
    if words is not None:
        on_event(words)


def _contents(
    stack: Stack, layer: str | None, made: Oid, headers: Path | None, *, allow_empty: bool
) -> tuple[Content, ...]:
    """Every layer as the tree `made` wants it, the edits in the one that is named."""
    place = stack.place
    if not stack.optional and layer in (None, DEFAULT_LAYER.name):
        _refuse_outdated(place, stack.draft, stack.target, made)
        accept = _judge(stack, DEFAULT_LAYER.name, allow_empty=allow_empty)
        return (
            edited(stack, DEFAULT_LAYER.name, base=place.base, made=made, headers=headers, accept=accept),
        )
    applied = stack.applied(made)
    if applied is None:
        _refuse_outdated(place, stack.draft, stack.target, made)
        applied = stack.select()
    chosen = target_layer(stack, applied, layer)
    accept = _judge(stack, chosen, allow_empty=allow_empty)
    return restacked(stack, applied, chosen, made, headers=headers, accept=accept)


def _judge(stack: Stack, layer: str, *, allow_empty: bool) -> Accept:
    """Refuses patches of `layer` that nobody can have meant."""

    def accept(diffs: Mapping[RepoPath, Diff]) -> None:
        optional = layer != DEFAULT_LAYER.name
        if not diffs and not allow_empty and (not optional or layer in stack.optional):
            raise TreeStateError(
                f"nothing is changed in {stack.place.folder}{f' by the layer {layer}' if optional else ''}",
                fix=stack.command("apply", *stack.select(layer).options),
            )
        refuse_crlf(stack.git, diffs, known={patch.path for patch in stack.draft.patches})

    return accept


def _as_they_are(stack: Stack, fix: str) -> list[Content]:
    """Every layer as its patch files say, proven on what it is made on top of."""
    what = "the patch files do not do what their index lines say"
    contents = []
    composer = Composer(stack.git, stack.patches, stack.place.base, fix=fix)
    for layer in (DEFAULT_LAYER.name, *stack.optional):
        alone = stack.select(layer)
        below, made = composer.below(alone, layer), composer.own(alone, layer)
        files = {patch.path: patch.content for patch in composer.patches.get(layer, ())}
        actual = tree.difference(stack.git, below, made)
        expected = {
            path: tree.entry_of(file.diff, actual[path].pre, actual[path].post)
            for path, file in files.items()
            if path in actual
        }
        tree.prove(expected, actual, what=what, fix=fix)
        contents.append(Content(layer=layer, files=files, base=below, made=made))
    return contents


def _options(layer: str | None, new: Sequence[str], headers: Path | None, *, allow_empty: bool) -> list[str]:
    """The command line's options that `regen` was called with."""
    options = [word for glob in new for word in ("--new", glob)]
    options += ["--layer", layer] if layer is not None else []
    options += ["--headers", str(headers)] if headers else []
    return options + (["--allow-empty"] if allow_empty else [])


def _read(root: Path, tag: str, place: Worktree, on_event: OnEvent, *, target: str) -> Draft:
    draft = patchset.read(root, tag, blobs=_reader(place.git), lenient=True)
    _refuse_unknown("target", target, draft.targets)
    for notice in draft.notices:
        on_event(notice)
    return draft


def _refuse_unknown(kind: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise UsageError(
            f"no {kind} named {name!r} in the manifest{did_you_mean(name, known)}",
            fix=f"known: {', '.join(known)}; others are declared in {manifest.FILE}",
        )


def _refuse_installed(root: Path, command: str) -> None:
    if data.is_installed(root):
        raise UsageError(
            f"{root} belongs to the installed package; patches are not written there",
            fix=f"copy that folder, then: {command} --patches FOLDER",
        )


def _apply(draft: Draft, place: Worktree, target: str, *options: str) -> str:
    return advice.command("apply", draft.tag, *options, root=draft.root, tree=place.folder, target=target)


def _reader(git: Git) -> Callable[[Oid], bytes | None]:
    return lambda oid: tree.contents(git, [oid]).get(oid)


def _refuse_unready(place: Worktree, draft: Draft, target: str) -> None:
    under_way = unfinished(place)
    if under_way is not None:
        raise TreeStateError(
            f"{place.folder} is in the middle of something: {under_way}",
            fix="finish or abort it (git status says how)",
        )
    if place.journal.read() is not None:
        raise TreeStateError(f"an apply was interrupted in {place.folder}", fix=_apply(draft, place, target))
    base.refuse_unknown(place, draft, target)


def _refuse_outdated(place: Worktree, draft: Draft, target: str, made: Oid) -> None:
    """Refuse a tree with another version of the patch set applied: it would come back over this one."""
    known = draft.locked(target)
    pair = known.pair_of(place.base) if known else None
    applied = applied_tree(place, draft.tag, target)
    if pair is None or pair.patched is None or applied is None or pair.patched in {applied, made}:
        return
    raise TreeStateError(
        f"{place.folder} has another version of the patch set {draft.tag} applied ({applied[:12]}, "
        f"the lock has {pair.patched[:12]}); its patches would replace the present ones",
        fix=f"{_apply(draft, place, target, '--restore')} (saves your edits as a commit), then edit again",
    )


def _new_files(place: Worktree, globs: Sequence[str]) -> list[RepoPath]:
    """The untracked files to take in.

    Raises:
        UsageError: a glob leads out of the tree.
        TreeStateError: there are others.
    """
    outside = [glob for glob in globs if OUTSIDE.search(glob.replace("\\", "/"))]
    if outside:
        raise UsageError(
            f"--new {outside[0]} leads out of the tree",
            fix="name files by their path in the tree, such as csrc/new.cu",
        )
    found = untracked(place)
    wanted = [path for path in found if any(_matches(path, glob) for glob in globs)]
    others = [path for path in found if path not in wanted]
    if others:
        shown = "".join(f"\n  {path}" for path in others[:SCREENFUL])
        more = f"\n  and {len(others) - SCREENFUL} more" if len(others) > SCREENFUL else ""
        raise TreeStateError(
            f"{place.folder} has untracked files that no --new names:{shown}{more}",
            fix=f"add --new {advice.quoted(others[0])} to make it part of the patches, or delete it",
        )
    unused = [g for g in globs if not any(_matches(path, g) for path in found) and not place.git.out(
        "ls-files", "-z", "--", f":(glob){g}")]  # fmt: skip
    if unused:
        raise TreeStateError(
            f"no new file matches {', '.join(unused)}", fix="check the globs given with --new"
        )
    return wanted


def _matches(path: RepoPath, glob: str) -> bool:
    return path == glob or fnmatch.fnmatchcase(path, glob)


def _index_moves(git: Git, place: Worktree, made: Oid, was: Sequence[RepoPath]) -> list[materialise.Move]:
    """The index follows the worktree: changed files at their new side, those in `was` alone at HEAD's."""
    sides = {path: (e.post, e.modes[1]) for path, e in tree.difference(git, place.base, made).items()}
    gone = tuple(path for path in was if path not in sides)
    if gone:
        there = git.entries(place.base, gone)
        sides |= {p: (there[p].oid, there[p].mode) if p in there else (NO_OBJECT, "0") for p in gone}
    return [
        materialise.Move(path=path, old=NO_OBJECT, new=new, old_mode="0", new_mode=mode)
        for path, (new, mode) in sides.items()
    ]
