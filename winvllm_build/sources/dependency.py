"""The projects upstream's CMake would fetch: each a folder keyed by tag and revision, or left out by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build.errors import UNOBTAINABLE, RefusedError, SourceError, ToolchainError
from winvllm_build.git import Git, Oid
from winvllm_build.index import Index
from winvllm_build.sources.pins import DependencyPin, PackagePin
from winvllm_build.sources.remote import Remotes, failure, moved_tag
from winvllm_build.sources.repository import commit_at, fetch_commit, open_repository
from winvllm_build.sources.source import LOCK_SECONDS, Source
from winvllm_build.workspace import Workspace, locked, staged_folder, write_atomic

SHORT: Final = 12
PACKAGE_LISTS: Final = """\
# The published package has CUTLASS's files but not its build files; upstream reads these variables alone.
cmake_minimum_required(VERSION 3.26)
project(cutlass_from_package LANGUAGES NONE)
set(CUTLASS_DIR "${CMAKE_CURRENT_LIST_DIR}" CACHE PATH "CUTLASS" FORCE)
set(CUTLASS_INCLUDE_DIR "${CUTLASS_DIR}/include" CACHE PATH "CUTLASS headers" FORCE)
set(CUTLASS_TOOLS_UTIL_INCLUDE_DIR "${CUTLASS_DIR}/tools/util/include" CACHE PATH "CUTLASS utilities" FORCE)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """A dependency that is there: `variable` has to point at `folder`."""

    name: str
    variable: str
    folder: Path
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotNeeded:
    """No requested arch uses it; `folder` is a placeholder that lets configure pass."""

    name: str
    variable: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """It cannot be had, or not whole: `targets` cannot be built; `folder` lets configure pass."""

    name: str
    variable: str
    folder: Path
    targets: tuple[str, ...]
    reason: str


Outcome = Dependency | NotNeeded | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    source: Source
    git: Git
    root: Path
    index: Index
    remotes: Remotes
    tell: Callable[[str], None]


def acquire_dependencies(
    source: Source,
    pins: tuple[DependencyPin, ...],
    *,
    archs: tuple[str, ...],
    workspace: Workspace,
    offline: bool,
    on_event: Callable[[str], None],
    locations: Mapping[str, Path] | None = None,
    index: Index | None = None,
    remotes: Remotes | None = None,
) -> tuple[Outcome, ...]:
    """A folder for every dependency, in the order of `pins`.

    Each is taken from `locations`, else from what is cached, else from git, else from its package.

    Args:
        source: upstream; its CMake files name the sources a placeholder has to have.
        pins: the dependencies.
        archs: the requested CUDA archs; a dependency none of them uses is not fetched.
        workspace: where the folders live.
        offline: use only what is cached or local.
        on_event: told what is taken and what cannot be had.
        locations: folders of the user's own, by the dependency's name.
        index: the package index to share with other rooms.
        remotes: what is known of the network in this run; a silent host costs seconds once.

    Raises:
        SourceError: a location does not exist, a tag moved, a hash is wrong. What cannot be had for another
            reason (no answer, a refusal, nothing there) is an `Unavailable`, not an error.
        BusyError: another run fetches dependencies for longer than a quarter of an hour.
        StorageError: a folder cannot be written.
    """
    root = workspace.sources / "deps"
    lock, words = root / "repo.lock", f"the dependencies in {root}"
    with locked(lock, words, wait=LOCK_SECONDS, on_wait=on_event):
        request = _Request(
            source=source,
            git=open_repository(root / "repo.git"),
            root=root / source.tag,
            index=index or Index(workspace, offline=offline, on_event=on_event),
            remotes=remotes or Remotes(offline=offline),
            tell=on_event,
        )
        return tuple(_outcome(request, pin, archs, locations or {}) for pin in pins)


def acquire_commit(
    pin: DependencyPin, *, workspace: Workspace, remotes: Remotes, on_event: Callable[[str], None]
) -> tuple[Path, Oid]:
    """The tool's repository of dependencies with the pinned commit in it, without submodules.

    Raises:
        SourceError: its tag moved, or the commit cannot be had.
        BusyError: another run fetches dependencies for longer than a quarter of an hour.
    """
    root = workspace.sources / "deps"
    lock, words = root / "repo.lock", f"the dependencies in {root}"
    with locked(lock, words, wait=LOCK_SECONDS, on_wait=on_event):
        git = open_repository(root / "repo.git")
        return git.folder, _fetched(git, remotes, on_event, replace(pin, submodules=()))[""]


def _outcome(
    request: _Request, pin: DependencyPin, archs: tuple[str, ...], locations: Mapping[str, Path]
) -> Outcome:
    if pin.name in locations:
        return _own(pin, locations[pin.name])
    if not pin.needed_for(archs):
        return NotNeeded(name=pin.name, variable=pin.variable, folder=_placeholder(request, pin))
    final = request.root / f"{pin.name}-{(pin.commit or pin.revision)[:SHORT]}"
    packaged = final.with_name(f"{final.name}-package")
    lost = () if pin.package is None else pin.package.lost_for(archs)
    if not final.is_dir() and (lost or not packaged.is_dir()):
        try:
            _get(request, pin, final, packaged)
        except UNOBTAINABLE as error:
            request.tell(f"{pin.name} is left out, and {', '.join(pin.targets)} with it: {error.message}")
            return Unavailable(
                name=pin.name,
                variable=pin.variable,
                folder=_placeholder(request, pin),
                targets=pin.targets,
                reason=error.message,
            )
    folder, origin = _present(pin, final, packaged)
    request.tell(f"{pin.name} {pin.revision}: {origin}")
    if lost and not final.is_dir():
        why = f"{origin} lacks files that {', '.join(lost)} needs here, and git is not to be had"
        request.tell(f"{', '.join(lost)} is left out: {why}")
        return Unavailable(name=pin.name, variable=pin.variable, folder=folder, targets=lost, reason=why)
    return Dependency(name=pin.name, variable=pin.variable, folder=folder, description=origin)


def _own(pin: DependencyPin, folder: Path) -> Dependency:
    if not folder.is_dir() or not any(folder.iterdir()):
        raise SourceError(
            f"{pin.name}: there is nothing at {folder}", fix=f"correct the path given for {pin.name}"
        )
    return Dependency(
        name=pin.name, variable=pin.variable, folder=folder.absolute(), description=f"your folder {folder}"
    )


def _present(pin: DependencyPin, final: Path, packaged: Path) -> tuple[Path, str]:
    if final.is_dir():
        return final.joinpath(*pin.folder.split("/")), f"git, {pin.url}"
    if pin.package is None:
        raise AssertionError(packaged)  # only `_get` makes it, and only from a package
    folder = packaged.joinpath(*pin.package.root.split("/"))
    lists = folder / "CMakeLists.txt"
    if not lists.is_file() or lists.read_bytes() != PACKAGE_LISTS.encode():  # a newer file would reconfigure
        write_atomic(lists, PACKAGE_LISTS.encode())
    return folder, f"the package {pin.package.project} {pin.package.version}"


def _get(request: _Request, pin: DependencyPin, final: Path, packaged: Path) -> None:
    try:
        commits = _fetched(request.git, request.remotes, request.tell, pin)
    except UNOBTAINABLE as error:
        if pin.package is None:
            raise
        request.tell(f"{pin.name} from git is not taken: {error.message}")
        try:
            _from_package(request, pin.package, packaged)
        except UNOBTAINABLE as second:
            raise RefusedError(f"{error.message}; {second.message}", fix=second.fix) from second
    else:
        with staged_folder(final) as part:
            for path, commit in commits.items():
                _export(request.git, commit, part.joinpath(*path.split("/")))


def _fetched(git: Git, remotes: Remotes, tell: Callable[[str], None], pin: DependencyPin) -> dict[str, Oid]:
    """The pinned commit and its submodules' by path, their objects fetched; the root is ``""``."""
    commit = pin.commit
    if commit is None:
        commit = remotes.tag_commit(git, pin.url, pin.revision)
    wanted = {"": (pin.url, commit)} | {sub.path: (sub.url, sub.commit) for sub in pin.submodules}
    for path, (url, oid) in wanted.items():
        ref = f"refs/winvllm/{pin.name}/{oid}"
        if commit_at(git, ref) == oid:
            continue
        tag = pin.revision if path == "" and pin.revision != oid else None
        _fetch(git, remotes, tell, url, oid, ref=ref, tag=tag)
    return {path: oid for path, (_, oid) in wanted.items()}


def _fetch(
    git: Git,
    remotes: Remotes,
    tell: Callable[[str], None],
    url: str,
    commit: Oid,
    *,
    ref: str,
    tag: str | None,
) -> None:
    if tag is None:
        remotes.require(git, url)
    else:
        found = remotes.tag_commit(git, url, tag)
        if found != commit:
            raise moved_tag(url, tag, commit, found)
    tell(f"fetching {tag or commit[:SHORT]} from {url}")
    try:
        fetch_commit(git, url, commit, ref=ref, tag=tag, on_event=tell)
    except ToolchainError as error:
        raise failure(f"fetching {commit} from {url} failed", error) from error


def _export(git: Git, commit: Oid, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with git.temporary_index(git.tree_of(commit)) as index:
        git.run(f"--work-tree={folder}", "checkout-index", "--all", "--force", index=index)


def _from_package(request: _Request, package: PackagePin, into: Path) -> None:
    prefixes = tuple(f"{package.root}/{folder}/" for folder in package.folders)
    request.index.members(
        package.project,
        package.version,
        wanted=lambda name: name.startswith(prefixes),
        record_sha256=package.record_sha256,
        into=into,
    )


def _placeholder(request: _Request, pin: DependencyPin) -> Path:
    """A folder FetchContent takes: not empty, with an empty file for each that the CMake files name."""
    folder = request.root / f"{pin.name}-placeholder"
    if not folder.is_dir():
        with staged_folder(folder) as part:
            text = f"A stand-in for {pin.url} {pin.revision}, which this build does not use.\n"
            (part / "README").write_bytes(text.encode())
            for name in _named_sources(request.source, pin):
                target = part.joinpath(*name.split("/"))
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(b"")
    return folder


def _named_sources(source: Source, pin: DependencyPin) -> list[str]:
    """Sources that upstream lists one by one as `${<content>_SOURCE_DIR}/...`, and what CMake reads."""
    place = rf"\$\{{{re.escape(pin.content)}_SOURCE_DIR\}}/([\w./-]+"
    pattern = re.compile(rf'{place}\.(?:cu|cc|cpp))|file\(\s*READ\s+"?{place})"?\s')
    git = Git(source.repository)
    found: set[str] = set()
    for path, entry in git.entries(source.tree).items():
        if path.endswith((".cmake", "CMakeLists.txt")):
            text = git.out("cat-file", "blob", entry.oid).decode("utf-8", "replace")
            found.update(one[1] or one[2] for one in pattern.finditer(text))
    return sorted(name for name in found if ".." not in name.split("/"))
