"""Tags that no manifest pins yet: the archive that the package index publishes becomes a source."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from packaging.version import InvalidVersion, Version

from winvllm_build.artifact import Artifact, same_version
from winvllm_build.choices import SourceKind
from winvllm_build.errors import UNOBTAINABLE, RefusedError, UsageError
from winvllm_build.git import Git
from winvllm_build.index import Index
from winvllm_build.sources.archive import members, without_root
from winvllm_build.sources.pins import REVISION, SdistPin, SourcePin
from winvllm_build.sources.repository import commit_at, open_repository
from winvllm_build.sources.sdist import SCM_HEADER, pin_in
from winvllm_build.sources.source import LOCK_SECONDS, Source, acquire, target_name
from winvllm_build.workspace import Workspace, locked

URL: Final = "https://github.com/vllm-project/vllm"
PROJECT: Final = "vllm"
VERSION_FILE: Final = "vllm/_version.py"
COMMIT_ID: Final = re.compile(rb"^(?:__commit_id__ = )?commit_id = 'g([0-9a-f]{7,40})'", re.MULTILINE)
"""How setuptools-scm writes the commit it packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleasedTag:
    """A version of the package index; without `has_sdist` there are only wheels."""

    tag: str
    version: str
    has_sdist: bool


def released_tags(index: Index) -> tuple[ReleasedTag, ...]:
    """Every release, release candidate and post release of vLLM that the index has, oldest first.

    Raises:
        OfflineError: the index does not answer.
        RefusedError: it does not give the list out.
    """
    files: dict[Version, list[Artifact]] = {}
    for artifact in index.files(PROJECT):
        version = _parsed(artifact.version)
        if version is not None and not version.is_devrelease and version.local is None:
            files.setdefault(version, []).append(artifact)
    return tuple(
        ReleasedTag(
            tag=f"v{version}", version=str(version), has_sdist=any(not x.is_wheel for x in files[version])
        )
        for version in sorted(files)
    )


def released_source(
    tag: str,
    *,
    workspace: Workspace,
    index: Index,
    offline: bool,
    on_event: Callable[[str], None],
    url: str = URL,
) -> tuple[SourcePin, Source]:
    """The published source archive of a tag in the tool's repository, and the pin that names it.

    What is there already is taken without asking the index. Otherwise the archive's hash is what the index
    says, or where it says none, that of the file it gives.

    Args:
        tag: like `v0.19.0`; no manifest is needed.
        workspace: where the repository lies.
        index: the package index.
        offline: use only what is cached or local.
        on_event: told what happens.
        url: upstream's repository, for the pin.

    Raises:
        UsageError: the tag is not the name of a release.
        OfflineError: the index does not answer and the tag is not cached.
        RefusedError: the index has no such version, or only wheels of it.
        SourceError: the archive has another hash, or is unsafe.
    """
    version = version_of(tag)
    pin = cached_pin(tag, workspace=workspace, url=url)
    if pin is None:
        pin = SourcePin(tag=tag, url=url, commit=None, sdist=_published(version, index))
    source = acquire(
        pin, kind=SourceKind.SDIST, location=None, workspace=workspace, offline=offline, on_event=on_event,
        index=index,
    )  # fmt: skip
    if pin.abbreviated is None:
        pin = replace(pin, abbreviated=_keep_version_file(pin, source, index, on_event))
    return pin, source


def cached_pin(tag: str, *, workspace: Workspace, url: str = URL) -> SourcePin | None:
    """The pin of an archive that is in the tool's repository already; proven by the commit made of it."""
    git = _repository(workspace, url)
    commit = None if git is None else commit_at(git, f"refs/winvllm/{tag}/base-sdist")
    if git is None or commit is None:
        return None
    text = git.out("cat-file", "commit", commit).partition(b"\n\n")[2]
    sdist = pin_in(text.decode("utf-8", "replace"))
    if sdist is None or sdist.commit_id(git.tree_of(commit)) != commit:
        return None
    kept = git.run("cat-file", "blob", _version_ref(tag), ok=(0, 1, 128))
    return SourcePin(
        tag=tag, url=url, commit=None, sdist=sdist,
        abbreviated=abbreviated_in(kept.out) if kept.code == 0 else None,
    )  # fmt: skip


def abbreviated_in(version_file: bytes) -> str | None:
    """The first digits of the commit that an archive was packed from."""
    found = COMMIT_ID.search(version_file)
    return None if found is None else found[1].decode("ascii")


def version_of(tag: str) -> str:
    """`v0.19.0` is version 0.19.0 of the package index.

    Raises:
        UsageError: the tag is not the name of a release.
    """
    version = _parsed(tag.removeprefix("v"))
    if version is None or not tag.startswith("v") or not REVISION.fullmatch(tag):
        raise UsageError(f"{tag!r} is not the tag of a release", fix="tags look like v0.19.0 or v0.20.0rc1")
    return str(version)


def _published(version: str, index: Index) -> SdistPin:
    files = [x for x in index.files(PROJECT) if same_version(x.version, version)]
    archive = next((x for x in files if not x.is_wheel), None)
    if archive is not None:
        made = index.hashed(archive)
        return SdistPin(project=PROJECT, version=version, sha256=made.sha256 or "")
    if files:
        raise RefusedError(
            f"the package index has {PROJECT} {version} only as wheels: no source archive was published",
            fix="choose another release: winvllm-build tags list; or pin the tag where git can be reached",
        )
    index.find(PROJECT, version, sdist=True)  # says what there is instead, or that this run is offline
    raise RefusedError(f"the package index has no {PROJECT} {version}", fix="winvllm-build tags list")


def _keep_version_file(
    pin: SourcePin, source: Source, index: Index, on_event: Callable[[str], None]
) -> str | None:
    """The commit's first digits; the file that names them is no part of the tag's tree, so a ref keeps it."""
    sdist = pin.sdist
    if sdist is None:
        return None
    try:
        archive = index.download(sdist.project, sdist.version, sha256=sdist.sha256, sdist=True)
    except UNOBTAINABLE as error:
        on_event(f"the commit of {pin.tag} is not known: {error.message}")
        return None
    content = _version_file(archive)
    git = Git(source.repository)
    lock, words = source.repository.parent / "repo.lock", f"the source repository {source.repository}"
    with locked(lock, words, wait=LOCK_SECONDS, on_wait=on_event):
        blob = git.line("hash-object", "-w", "--stdin", stdin=content)
        git.run("update-ref", _version_ref(pin.tag), blob)
    return abbreviated_in(content)


def _version_file(archive: Path) -> bytes:
    """The file setuptools-scm wrote; empty where there is none."""
    with closing(members(archive)) as found:
        inner: Iterable[bytes] = (
            member.content
            for member in without_root(archive, found)
            if member.path == VERSION_FILE and member.content.startswith(SCM_HEADER)
        )
        return next(iter(inner), b"")


def _version_ref(tag: str) -> str:
    return f"refs/winvllm/{tag}/version-file"


def repository_at(workspace: Workspace, url: str, on_event: Callable[[str], None]) -> Git:
    """The tool's repository for upstream, made if it does not exist.

    Raises:
        BusyError: another run fills it for longer than a quarter of an hour.
        StorageError: it cannot be written.
    """
    folder = _folder(workspace, url)
    with locked(
        folder.with_name("repo.lock"), f"the source repository {folder}", wait=LOCK_SECONDS, on_wait=on_event
    ):
        return open_repository(folder)


def _folder(workspace: Workspace, url: str) -> Path:
    return workspace.sources / target_name(SourcePin(tag="", url=url, commit=None, sdist=None)) / "repo.git"


def _repository(workspace: Workspace, url: str) -> Git | None:
    folder = _folder(workspace, url)
    return Git(folder) if folder.is_dir() else None


def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except InvalidVersion:
        return None
