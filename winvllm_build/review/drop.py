"""`drop`: a patch taken out of a set with its reason; the rest is proven and locked anew."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build import data
from winvllm_build.choices import SourceKind
from winvllm_build.errors import UsageError
from winvllm_build.git import Git, RepoPath
from winvllm_build.patchset import advice, base, patchset, pending, record, rewrite, tree
from winvllm_build.patchset.dropped import Dropped
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft, Patch
from winvllm_build.patchset.record import Decision, Record
from winvllm_build.patchset.restack import Stack, restacked
from winvllm_build.patchset.rewrite import Job, Plan
from winvllm_build.patchset.worktree import Worktree, open_worktree, scratch
from winvllm_build.review import hazards
from winvllm_build.review.find import listed, matching
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire
from winvllm_build.suggest import did_you_mean
from winvllm_build.workspace import Journal, Workspace, locked

OnEvent = Callable[[str], None]
LOCK_SECONDS: Final = 60.0
SHORT: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        root: the folder of all patch sets.
        tag: which one.
        words: the patches: paths, ends of paths, globs.
        reason: why they go.
        layer: where they are; None where that is plain.
        target: which source tree of the set.
        tree: a worktree to prove the rest on, instead of the tool's own source.
        offline: take the source from what is cached.
        check: write nothing.
    """

    root: Path
    tag: str
    words: tuple[str, ...]
    reason: str
    layer: str | None = None
    target: str = MAIN_TARGET
    tree: Path | None = None
    offline: bool = False
    check: bool = False

    @property
    def command(self) -> str:
        layer = ["--layer", self.layer] if self.layer else []
        options = ["--tag", self.tag, *layer, "--reason", self.reason]
        first, *others = self.words
        return advice.command(
            "drop", first, *others, *options, root=self.root, tree=self.tree, target=self.target
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What was done, or would be.

    Attributes:
        dropped: what went.
        left: how many patches the set still has.
        seconds: wall time.
        written: files that are other than before.
        removed: patch files that are gone; none where an earlier run had done it all.
        unanswered: hazards that `hazards.toml` calls patched and no patch names any more.
    """

    dropped: tuple[Dropped, ...]
    left: int
    seconds: float
    written: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()
    unanswered: tuple[str, ...] = ()


def drop(request: Request, *, workspace: Workspace, on_event: OnEvent) -> Drop:
    """Take patches out of a set: files, lock, and the reason in the manifest and in the record of a port.

    Args:
        request: what goes.
        workspace: where the source is kept.
        on_event: told what happens, one sentence each.

    Raises:
        UsageError: no such patch, layer or target, or the set belongs to the installed package.
        PatchError: the set does not fit its lock; nothing was written.
        ConflictError: a layer on top does not fit without the patch; nothing was written.
        SourceError: the source cannot be had to prove the rest on.
        TreeStateError: the tree that was named is of another commit.
        StorageError: the disk refused; the same command finishes.
    """
    begun = time.monotonic()
    if data.is_installed(request.root) and not request.check:
        raise UsageError(
            f"{request.root} belongs to the installed package; patches are not taken out there",
            fix=f"copy that folder, then: {request.command} --patches FOLDER",
        )
    reason = _reason(request)
    with _ground(request, workspace, on_event) as (place, journal):
        finished = None if request.check else pending.finish(journal, request.root / request.tag)
        if finished is not None:
            on_event(finished.replace("regen", "drop"))
        patchset.load(request.root, request.tag)
        draft = patchset.read(request.root, request.tag)
        already = _already(draft, request)
        if already:
            return Drop(dropped=already, left=len(draft.patches), seconds=time.monotonic() - begun)
        gone = _chosen(draft, request)
        base.refuse_unknown(place, draft, request.target)
        entries = tuple(_entry(patch, reason, request.tag) for patch in gone)
        with scratch(place) as git:
            planned = _plan(_Stack(git, place, draft, request), gone, entries, on_event)
        written, removed = _differing(planned)
        if not request.check:
            rewrite.carry_out(planned, begun, check=False, journal=journal)
        return Drop(
            dropped=entries, written=written, removed=removed, unanswered=_unanswered(draft, gone),
            left=len(draft.patches) - len(gone), seconds=time.monotonic() - begun,
        )  # fmt: skip


class _Stack(Stack):
    """The layers of the set; its commands name the tree only where the user did."""

    def __init__(self, git: Git, place: Worktree, draft: Draft, request: Request) -> None:
        super().__init__(git, place, draft, request.target)
        self.request = request

    def command(self, verb: str, *options: str) -> str:
        request = self.request
        return advice.command(
            verb, request.tag, *options, root=request.root, tree=request.tree, target=request.target
        )


@contextmanager
def _ground(request: Request, workspace: Workspace, on_event: OnEvent) -> Iterator[tuple[Worktree, Journal]]:
    """What the rest of the set is proven on, locked, and where a run notes what is under way."""
    if request.tree is not None:
        place = open_worktree(request.tree)
        with locked(place.lock_file, f"the tree {place.folder}"):
            yield place, place.regen_journal
        return
    if request.target != MAIN_TARGET:
        raise UsageError(f"the tree of {request.target} is not named", fix="name it with --tree")
    pin = read_pins(patchset.manifest_of(request.root, request.tag)).upstream
    source = acquire(
        pin, kind=SourceKind.AUTO, location=None, workspace=workspace, offline=request.offline,
        on_event=on_event,
    )  # fmt: skip
    folder = source.repository
    name = hashlib.sha256(str(request.root / request.tag).encode()).hexdigest()[:SHORT]
    place = Worktree(
        folder=folder, git=Git(folder), git_folder=folder, objects=folder / "objects", head=source.commit,
        base=source.tree,
    )  # fmt: skip
    with locked(folder.parent / f"drop-{name}.lock", f"the patch set {request.tag}", wait=LOCK_SECONDS):
        yield place, Journal(path=folder.parent / f"drop-{name}.json")


def _reason(request: Request) -> str:
    reason = request.reason.strip()
    try:
        reason.encode()
    except UnicodeEncodeError:
        reason = ""
    if not reason:
        raise UsageError("the reason is empty", fix='say why the patch goes: --reason "upstream has it"')
    return reason


def _already(draft: Draft, request: Request) -> tuple[Dropped, ...]:
    """What an earlier run took out, if that is all that is asked for."""
    found = []
    for word in request.words:
        here = any(_means(word, patch.path) for patch in draft.patches if patch.target == request.target)
        entries = [
            entry
            for entry in draft.manifest.dropped
            if _means(word, entry.path) and entry.target == request.target
        ]
        if here or not entries:
            return ()
        found.append(entries[-1])
    return tuple(found)


def _means(word: str, path: RepoPath) -> bool:
    return path == word or path.endswith(f"/{word}")


def _chosen(draft: Draft, request: Request) -> tuple[Patch, ...]:
    """The patches that go, all of one layer."""
    layers = [layer.name for layer in draft.manifest.layers]
    for kind, name, known in (("layer", request.layer, layers), ("target", request.target, draft.targets)):
        if name is not None and name not in known:
            raise UsageError(
                f"the set has no {kind} named {name!r}{did_you_mean(name, known)}",
                fix=f"known: {', '.join(known)}",
            )
    there = [
        patch
        for patch in draft.patches
        if patch.target == request.target and request.layer in (None, patch.layer)
    ]
    chosen = [patch for word in request.words for patch in matching(there, word, folder=draft.folder)]
    found = {patch.file: patch for patch in chosen}
    named = sorted({patch.layer for patch in found.values()})
    if len(named) > 1:
        commands = "\n".join(f"  {replace(request, layer=name).command}" for name in named)
        raise UsageError(
            f"the layers {' and '.join(named)} have such patches; one layer at a time",
            fix=f"name the layer:\n{commands}",
        )
    return tuple(found.values())


def _entry(patch: Patch, reason: str, tag: str) -> Dropped:
    answered = listed(patch.content.header, "Hazards")
    return Dropped(
        path=patch.path, layer=patch.layer, target=patch.target, reason=reason, since=tag,
        hazards=tuple(name for name in answered if name != "-"),
    )  # fmt: skip


def _plan(stack: _Stack, gone: Sequence[Patch], entries: Sequence[Dropped], on_event: OnEvent) -> Plan:
    """Every file as it has to be; proven, nothing written."""
    layer, request, draft = gone[0].layer, stack.request, stack.draft
    paths = {patch.path for patch in gone}
    kept = {patch.path: patch.content for patch in stack.old.patches[layer] if patch.path not in paths}
    alone = stack.select(*([] if layer == DEFAULT_LAYER.name else [layer]))
    below = stack.old.below(alone, layer)
    made = tree.compute(stack.git, below, [file.diff for file in kept.values()], fix=stack.command("status"))
    contents = [
        replace(content, files=kept) if content.layer == layer else content
        for content in restacked(stack, alone, layer, made, headers=None, accept=lambda _: None)
    ]
    job = Job(
        git=stack.git, head=stack.place.head, base=stack.place.base, draft=draft, target=request.target,
        command=request.command, on_event=on_event,
    )  # fmt: skip
    planned = rewrite.plan(job, contents)
    return replace(planned, files={**_told(draft, entries), **planned.files})


def _told(draft: Draft, entries: Sequence[Dropped]) -> Mapping[Path, bytes]:
    """The manifest, and the record where the set was ported, with the reason in them."""
    text = draft.manifest_file.read_bytes()
    newline = b"\r\n" if b"\r\n" in text else b"\n"
    added = "".join(f"\n{entry.serialise()}" for entry in entries).encode().replace(b"\n", newline)
    files = {draft.manifest_file: text + (b"" if text.endswith(b"\n") else newline) + added}
    made = record.read(draft.folder / record.FILE)
    if made is not None:
        files[draft.folder / record.FILE] = _recorded(made, entries).serialise()
    return files


def _recorded(made: Record, entries: Sequence[Dropped]) -> Record:
    reasons: dict[tuple[str, str, RepoPath], str] = {
        (entry.target, entry.layer, entry.path): entry.reason for entry in entries
    }
    patches = tuple(
        replace(known, decision=Decision.DROPPED, reason=reasons[known.target, known.layer, to])
        if (to := known.to or known.path) and (known.target, known.layer, to) in reasons
        else known
        for known in made.patches
    )
    return replace(made, patches=patches)


def _differing(planned: Plan) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Files that will be written, and those that will go."""
    whole = {**planned.files, planned.lock_file: planned.lock}
    written = tuple(
        file for file, content in whole.items() if content is not None and file.read_bytes() != content
    )
    return written, tuple(file for file, content in whole.items() if content is None)


def _unanswered(draft: Draft, gone: Sequence[Patch]) -> tuple[str, ...]:
    """Hazards that only the dropped patches answered."""
    known, _ = hazards.read_list(draft.folder / hazards.FILE)
    files = {patch.file for patch in gone}
    named = {
        name
        for patch in draft.patches
        if patch.file not in files
        for name in listed(patch.content.header, "Hazards")
    }
    lost = {name for patch in gone for name in listed(patch.content.header, "Hazards")} - named
    states = known.states if known else {}
    return tuple(sorted(name for name in lost if states.get(name) == hazards.PATCHED))
