"""Anyone's patch or branch as patches of a set: proven against the pinned source, headers to be filled."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from winvllm_build import data
from winvllm_build.choices import SourceKind
from winvllm_build.errors import ConflictError, UsageError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import base, patchset, rewrite
from winvllm_build.patchset.patchset import MAIN_TARGET, Draft
from winvllm_build.patchset.restack import Stack, restacked
from winvllm_build.patchset.rewrite import Content, Job, RegenResult
from winvllm_build.patchset.worktree import Worktree, open_worktree, scratch_of
from winvllm_build.review.admission import Admission, admit, described
from winvllm_build.review.arrival import Arrival, PatchFiles, of_branch, of_patches
from winvllm_build.review.bench import with_entries
from winvllm_build.review.branch import open_branch
from winvllm_build.review.import_verdict import FileVerdict
from winvllm_build.sources.pins import SourcePin, read_pins
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace

OnEvent = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the tag's source comes from: a worktree, or `acquire` with these arguments."""

    tree: Path | None = None
    kind: SourceKind = SourceKind.AUTO
    location: str | None = None
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchName:
    """A branch of a local repository, and what to compare it with."""

    repository: Path
    revision: str
    base: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is imported where.

    Attributes:
        root: the folder of patch sets.
        tag: the set, which needs a manifest and no more.
        layer: where the patches go.
        target: the source tree they are of.
        made_for: the tag that patch files were made for, if it is another one.
        instead: globs of files whose patch is replaced.
        partial: write what is clean even if something failed.
        dry_run: write nothing.
        origin: the tag's source.
        command: the command line that asked for it.
    """

    root: Path
    tag: str
    layer: str = "windows"
    target: str = MAIN_TARGET
    made_for: str | None = None
    instead: tuple[str, ...] = ()
    partial: bool = False
    dry_run: bool = False
    origin: Origin = Origin()
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What came of it.

    Attributes:
        verdicts: one for each file.
        failed: those that are no patches now.
        rejects: their diffs.
        written: None where nothing was to be written, or a failure prevented it.
        seconds: wall time.
    """

    verdicts: tuple[FileVerdict, ...]
    failed: tuple[FileVerdict, ...]
    rejects: Mapping[RepoPath, bytes]
    written: RegenResult | None
    seconds: float


def import_changes(request: Request, incoming: PatchFiles | BranchName, *, on_event: OnEvent) -> ImportResult:
    """Turn changes into patch files, one for each file, and lock them.

    Args:
        request: where they go.
        incoming: what they are.
        on_event: told what happens, one sentence each.

    Raises:
        UsageError: no such layer or target, nothing says what a branch starts from, or the patch sets belong
            to the installed package.
        PatchError: an incoming patch cannot be read, or the set itself is malformed.
        SourceError: the tag's source cannot be had, or there is no such repository or revision.
        TreeStateError: the worktree given is of something else.
        ConflictError: another layer does not fit on top of the new patches; nothing was written.
        StorageError: the disk refused.
    """
    begun = time.monotonic()
    _refuse_installed(request)
    draft = patchset.read(request.root, request.tag, lenient=True)
    _refuse_unknown(request, draft)
    place = _place(request, draft, on_event)
    base.refuse_unknown(place, draft, request.target)
    with _opened(place, request, draft, incoming, on_event) as (git, arrive):
        stack = Stack(git, place, draft, request.target)
        onto = stack.old.below(stack.select(request.layer), request.layer)
        arrival = arrive(onto)
        admission = admit(stack, request.layer, onto, arrival, instead=request.instead)
        stopped = request.dry_run or not admission.entries or (admission.failed and not request.partial)
        written = None
        if not stopped:
            contents = _contents(stack, request, arrival, admission)
            planned = rewrite.plan(_job(stack, request, on_event), contents)
            written = rewrite.carry_out(planned, begun, check=False)
    return ImportResult(
        verdicts=admission.verdicts, failed=admission.failed, rejects=arrival.rejects, written=written,
        seconds=time.monotonic() - begun,
    )  # fmt: skip


def _refuse_installed(request: Request) -> None:
    if data.is_installed(request.root) and not request.dry_run:
        raise UsageError(
            f"{request.root} belongs to the installed package; patches are not written there",
            fix="copy that folder and name the copy with --patches",
        )


def _refuse_unknown(request: Request, draft: Draft) -> None:
    if request.target not in draft.targets:
        raise UsageError(
            f"the set has no target {request.target!r}", fix=f"known: {', '.join(draft.targets)}"
        )
    if request.target != MAIN_TARGET and request.origin.tree is None:
        raise UsageError(f"the tree of {request.target} is not named", fix="name it with --tree")


def _place(request: Request, draft: Draft, on_event: OnEvent) -> Worktree:
    """Objects, commit and tree of the tag's source; of a worktree, or of the tool's own repository."""
    if request.origin.tree is not None:
        return open_worktree(request.origin.tree)
    source = _acquired(request.origin, draft.pin, on_event)
    git = Git(source.repository)
    return Worktree(
        folder=source.repository, git=git, git_folder=source.repository, head=source.commit,
        objects=source.repository / "objects", base=source.tree,
    )  # fmt: skip


@contextmanager
def _opened(
    place: Worktree, request: Request, draft: Draft, incoming: PatchFiles | BranchName, on_event: OnEvent
) -> Iterator[tuple[Git, Callable[[Oid], Arrival]]]:
    """A scratch repository with everything in it, and what finds out what arrives on a tree."""
    match incoming:
        case BranchName():
            branch = open_branch(
                incoming.repository.absolute(), incoming.revision, base=incoming.base, pin=draft.pin
            )
            on_event(branch.words)
            with _scratch(place.objects, [branch.objects]) as git:
                yield git, lambda onto: of_branch(git, branch, onto=onto)
        case PatchFiles() if request.made_for is None:
            with _scratch(place.objects, []) as git:
                yield git, lambda onto: of_patches(git, incoming, made_for=onto, onto=onto)
        case PatchFiles():
            other = read_pins(patchset.manifest_of(request.root, request.made_for)).upstream
            source = _acquired(request.origin, other, on_event)
            with _scratch(place.objects, [source.repository / "objects"]) as git:
                yield git, lambda onto: of_patches(git, incoming, made_for=source.tree, onto=onto)


@contextmanager
def _scratch(objects: Path, others: Sequence[Path]) -> Iterator[Git]:
    with scratch_of(objects) as git:
        lines = b"".join(other.as_posix().encode("utf-8", "surrogateescape") + b"\n" for other in others)
        with (git.folder / "objects" / "info" / "alternates").open("ab") as file:
            file.write(lines)
        yield git


def _acquired(origin: Origin, pin: SourcePin, on_event: OnEvent) -> Source:
    return acquire(
        pin, kind=origin.kind, location=origin.location, workspace=Workspace.default(),
        offline=origin.offline, on_event=on_event,
    )  # fmt: skip


def _contents(stack: Stack, request: Request, arrival: Arrival, admission: Admission) -> tuple[Content, ...]:
    """The layer with the new patches, and every other layer on top of it; proven."""
    layer, git = request.layer, stack.git
    alone = stack.select(layer)
    steps = {path: (entry.modes[1], entry.post) for path, entry in admission.entries.items()}
    made = with_entries(git, stack.old.tree(alone), steps)
    try:
        contents = restacked(stack, alone, layer, made, headers=None, accept=lambda _: None)
    except ConflictError as error:
        raise ConflictError(
            error.message, fix=f"import into another layer, or take the files above out of {layer}"
        ) from error
    there = {patch.path for patch in stack.patches if patch.layer == layer}
    new = [path for path in admission.entries if path not in there]
    return tuple(
        described(content, arrival, new, request.tag) if content.layer == layer else content
        for content in contents
    )


def _job(stack: Stack, request: Request, on_event: OnEvent) -> Job:
    place = stack.place
    return Job(
        git=stack.git, head=place.head, base=place.base, draft=stack.draft, target=request.target,
        command=request.command, on_event=on_event,
    )  # fmt: skip
