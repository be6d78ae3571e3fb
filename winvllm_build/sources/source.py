"""A tag becomes a commit and a tree in the tool's own repository, and a worktree of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from typing_extensions import assert_never

from winvllm_build.choices import SourceKind
from winvllm_build.errors import (
    UNOBTAINABLE,
    OfflineError,
    RefusedError,
    SourceError,
    ToolchainError,
    TreeStateError,
    WinvllmError,
)
from winvllm_build.git import Git, Oid
from winvllm_build.index import Index
from winvllm_build.sources.local import import_local
from winvllm_build.sources.pins import SourcePin
from winvllm_build.sources.remote import Remotes, failure, moved_tag
from winvllm_build.sources.repository import Kept, fetch_commit, kept, open_repository
from winvllm_build.sources.sdist import import_sdist, message
from winvllm_build.workspace import Workspace, locked, storage_errors, write_atomic

LOCK_SECONDS: Final = 900.0
"""How long to wait while another run fills the same repository."""
COMPLETE: Final = "winvllm-complete"
"""In a worktree's private folder: the commit it was completely checked out from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Upstream at one tag.

    `commit` is the tag's own where the source is git; for an sdist or a folder it is a commit of ours
    with the same blobs. `repository` is the tool's bare repository that holds the objects.
    """

    kind: SourceKind
    tag: str
    commit: Oid
    tree: Oid
    repository: Path
    description: str


@dataclass(frozen=True, kw_only=True)
class _Request:
    """What `acquire` was asked for, with the doors it may use."""

    pin: SourcePin
    git: Git
    index: Index
    remotes: Remotes
    tell: Callable[[str], None]

    @cached_property
    def cached(self) -> Mapping[str, Kept]:
        """What earlier runs had of the tag, by its ref."""
        return kept(self.git, *(self.ref(k) for k in (SourceKind.GIT, SourceKind.LOCAL, SourceKind.SDIST)))

    def ref(self, kind: SourceKind) -> str:
        return f"refs/winvllm/{self.pin.tag}/base-{kind.value}"

    def source(self, kind: SourceKind, commit: Oid, description: str, *, tree: Oid | None = None) -> Source:
        return Source(
            kind=kind,
            tag=self.pin.tag,
            commit=commit,
            tree=tree or self.git.tree_of(commit),
            repository=self.git.folder,
            description=description,
        )


def acquire(
    pin: SourcePin,
    *,
    kind: SourceKind,
    location: str | None,
    workspace: Workspace,
    offline: bool,
    on_event: Callable[[str], None],
    index: Index | None = None,
    remotes: Remotes | None = None,
) -> Source:
    """Have the pinned source in the tool's repository.

    Args:
        pin: what it has to be.
        kind: where from; AUTO is `location` if given, what is cached, git, then the sdist; the sdist is
            before git where it alone is pinned.
        location: a local repository, folder or archive.
        workspace: where the repository lives.
        offline: use only what is cached or local.
        on_event: told what is taken, and why the earlier choices were not.
        index: the package index to share with other rooms.
        remotes: what is known of the network in this run.

    Raises:
        SourceError: the tag moved, a hash is wrong, the local source does not fit.
        OfflineError: the network does not answer and nothing is cached.
        RefusedError: it answers, but neither git nor the index gives the source out.
        BusyError: another run fills the repository for longer than a quarter of an hour.
        StorageError: it cannot be written.
    """
    folder = workspace.sources / target_name(pin)
    lock, words = folder / "repo.lock", f"the source repository {folder}"
    with locked(lock, words, wait=LOCK_SECONDS, on_wait=on_event):
        request = _Request(
            pin=pin,
            git=open_repository(folder / "repo.git"),
            index=index or Index(workspace, offline=offline, on_event=on_event),
            remotes=remotes or Remotes(offline=offline),
            tell=on_event,
        )
        source = _take(request, kind, location)
    on_event(f"source: {source.description}")
    return source


def target_name(pin: SourcePin) -> str:
    """The repository's own name, `vllm`: patches and folders are named after it."""
    return pin.url.rstrip("/").rpartition("/")[2].removesuffix(".git") or "upstream"


def worktree(source: Source, folder: Path, *, on_event: Callable[[str], None] | None = None) -> Path:
    """A worktree at `source.commit`: made, or finished where a killed run left it half-made.

    A complete one is returned as it is, whatever was changed in it since.

    Raises:
        TreeStateError: the folder is something else, or a worktree of another source.
        StorageError: it cannot be written.
    """
    git = Git(source.repository)
    lock = source.repository.parent / "repo.lock"
    words = f"the source repository {source.repository}"
    with locked(lock, words, wait=LOCK_SECONDS, on_wait=on_event), storage_errors(str(folder)):
        begun = _begun(folder)
        if begun.is_file():
            git.end_orphans()
            # Since the run that was killed it may have become something else.
            _private_folder(source, folder)
            _remove(folder)
        elif _is_complete(source, folder):
            return folder
        write_atomic(begun, f"{source.commit}\n".encode())
        add = ("worktree", "add", "--quiet", "--force", "--force", "--detach")
        git.run(*add, str(folder), source.commit)
        write_atomic(Git(folder).private_path(COMPLETE), f"{source.commit}\n".encode())
        begun.unlink()
    return folder


def _begun(folder: Path) -> Path:
    """Exists while the tool makes `folder`: only then may a worktree of ours be removed."""
    return folder.with_name(f".{folder.name}.begun")


def _remove(folder: Path) -> None:
    """The marker of a worktree goes last: where this is killed, the rest is still known as ours."""
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != ".git":
            path.unlink()
    shutil.rmtree(folder)


def _is_complete(source: Source, folder: Path) -> bool:
    """Whether `folder` is the tool's worktree of this source; False where nothing is there."""
    private = _private_folder(source, folder)
    if private is None:
        return False
    if not (private / COMPLETE).is_file():
        raise TreeStateError(
            f"{folder} is a worktree of the tool's repository that the tool did not make",
            fix=f"move your work out of {folder}, or choose another folder",
        )
    _require_same(source, folder, (private / COMPLETE).read_text(encoding="utf-8").strip())
    return True


def _private_folder(source: Source, folder: Path) -> Path | None:
    """The worktree's folder inside our repository; None where there is no worktree yet."""
    marker = folder / ".git"
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    named = marker.read_text(encoding="utf-8", errors="replace").strip() if marker.is_file() else ""
    private = Path(named.removeprefix("gitdir:").strip()) if named.startswith("gitdir:") else None
    ours = (source.repository / "worktrees").resolve()
    if private is None or private.parent.resolve() != ours or not private.is_dir():
        raise TreeStateError(
            f"{folder} is not empty and not a worktree of this tool",
            fix=f"move {folder} away, or choose another folder",
        )
    return private


def _require_same(source: Source, folder: Path, commit: str) -> None:
    if commit != source.commit:
        raise TreeStateError(
            f"{folder} was made from commit {commit},\n"
            f"the source now is {source.commit} ({source.description})",
            fix=f"git -C {source.repository} worktree remove {folder}, or choose the source it was made from",
        )


def _take(request: _Request, kind: SourceKind, location: str | None) -> Source:
    match kind:
        case SourceKind.AUTO:
            return _automatic(request, location)
        case SourceKind.LOCAL:
            return _local(request, location)
        case SourceKind.GIT:
            return _cached_git(request) or _from_git(request)
        case SourceKind.SDIST:
            return _cached_sdist(request) or _from_sdist(request)
        case _:
            assert_never(kind)


def _automatic(request: _Request, location: str | None) -> Source:
    if location is not None:
        return _local(request, location)
    caches, attempts = [_cached_git, _cached_sdist], [_from_git, _from_sdist]
    if request.pin.commit is None:  # then the archive is what is pinned best
        caches.reverse()
        attempts.reverse()
    cached = next((found for cache in caches if (found := cache(request)) is not None), None)
    if cached is not None:
        return cached
    failures: list[WinvllmError] = []
    for attempt in attempts:
        try:
            return attempt(request)
        except UNOBTAINABLE as error:
            failures.append(error)
            request.tell(f"not taken: {error.message}")
    silent = any(isinstance(error, OfflineError) for error in failures)
    reasons = [error.message for error in failures]
    raise (OfflineError if silent else RefusedError)(
        "\n".join([f"vLLM {request.pin.tag} cannot be had and nothing is cached", *reasons]),
        fix="connect to the network, or give a local copy as the source's location",
    )


def _local(request: _Request, location: str | None) -> Source:
    if location is None:
        raise SourceError(
            "the local source has no location", fix="give the path of a repository, folder or archive"
        )
    ref = request.ref(SourceKind.LOCAL)
    commit, description = import_local(request.git, Path(location).absolute(), request.pin, ref=ref)
    return request.source(SourceKind.LOCAL, commit, f"{request.pin.tag} from {description}")


def _cached_git(request: _Request) -> Source | None:
    for kind in (SourceKind.GIT, SourceKind.LOCAL):
        found = request.cached.get(request.ref(kind))
        if found is not None and request.pin.means(found.commit):
            words = _git_words(request.pin, found.commit) + ", cached"
            return request.source(SourceKind.GIT, found.commit, words, tree=found.tree)
    return None


def _from_git(request: _Request) -> Source:
    pin, git = request.pin, request.git
    pinned = pin.commit or pin.abbreviated
    if pinned is None:
        raise RefusedError(
            f"no commit is pinned for {pin.tag}, only its source archive",
            fix=f"winvllm-build tags add {pin.tag} --update, where {pin.url} can be reached",
        )
    found = request.remotes.tag_commit(git, pin.url, pin.tag)
    if not pin.means(found):
        raise moved_tag(pin.url, pin.tag, pinned, found)
    request.tell(f"fetching {pin.tag} from {pin.url}")
    try:
        ref = request.ref(SourceKind.GIT)
        fetch_commit(git, pin.url, found, ref=ref, tag=pin.tag, on_event=request.tell)
    except ToolchainError as error:
        raise failure(f"fetching {pin.tag} from {pin.url} failed", error) from error
    return request.source(SourceKind.GIT, found, _git_words(pin, found))


def _git_words(pin: SourcePin, commit: Oid) -> str:
    return f"{pin.tag} from git, {pin.url} at {commit}"


def _cached_sdist(request: _Request) -> Source | None:
    sdist = request.pin.sdist
    found = request.cached.get(request.ref(SourceKind.SDIST))
    if sdist is None or found is None or found.message.strip() != message(sdist).strip():
        return None
    words = _sdist_words(request.pin) + ", cached"
    return request.source(SourceKind.SDIST, found.commit, words, tree=found.tree)


def _from_sdist(request: _Request) -> Source:
    sdist = request.pin.sdist
    if sdist is None:
        raise OfflineError(f"no source archive is pinned for {request.pin.tag}")
    archive = request.index.download(sdist.project, sdist.version, sha256=sdist.sha256, sdist=True)
    commit = import_sdist(request.git, archive, sdist, ref=request.ref(SourceKind.SDIST))
    return request.source(SourceKind.SDIST, commit, _sdist_words(request.pin))


def _sdist_words(pin: SourcePin) -> str:
    if pin.sdist is None:
        return pin.tag
    return f"{pin.tag} from the published archive {pin.sdist.project} {pin.sdist.version}"
