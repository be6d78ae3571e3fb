"""A source the user has: a git repository with the pinned commit, a plain folder, or an archive."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from winvllm_build.errors import SourceError, ToolchainError
from winvllm_build.git import Git, Oid
from winvllm_build.member_names import MemberNames
from winvllm_build.sources.archive import Member
from winvllm_build.sources.pins import SourcePin
from winvllm_build.sources.remote import reason
from winvllm_build.sources.repository import commit_at, fetch_commit, has_commit, import_files, is_repository
from winvllm_build.sources.sdist import archived_files, import_sdist, upstream_files
from winvllm_build.workspace import sha256_of

SKIPPED_FOLDERS: Final = frozenset(
    {".git", ".deps", ".venv", "venv", "__pycache__", ".mypy_cache", ".ruff_cache"}
)
SKIPPED_SUFFIXES: Final = frozenset({".pyc", ".so", ".pyd", ".o", ".obj"})


def import_local(
    git: Git, location: Path, pin: SourcePin, *, ref: str, windows: bool = os.name == "nt"
) -> tuple[Oid, str]:
    """Take the source at `location` into `git`; the commit and what it is, in words.

    Raises:
        SourceError: there is nothing, the repository lacks the commit, a file is unsafe, or it is a plain
            folder on Windows, which knows no executable bits: its tree could never be the tag's.
    """
    if location.is_file():
        return _archive(git, location, pin, ref)
    if not location.is_dir():
        raise SourceError(
            f"there is no source at {location}", fix="check the path given for the local source"
        )
    if is_repository(location):
        commit = _repository(git, location, pin, ref)
        return commit, f"commit {commit} of the repository {location}"
    if windows:
        raise SourceError(
            f"{location} is a plain folder, and on Windows it does not say which files are executable",
            fix="name the archive that it was unpacked from, or a git repository",
        )
    files = sorted(upstream_files(_files(location)), key=lambda file: file.path)
    if not files:
        raise SourceError(f"the folder {location} is empty", fix="check the path given for the local source")
    text = f"{pin.tag}, from a plain folder\n"
    return import_files(git, files, ref=ref, message=text), f"the folder {location}, as it is"


def _archive(git: Git, location: Path, pin: SourcePin, ref: str) -> tuple[Oid, str]:
    digest = sha256_of(location)
    if pin.sdist is not None and digest == pin.sdist.sha256:
        return import_sdist(git, location, pin.sdist, ref=ref), f"the pinned sdist at {location}"
    files = archived_files(location)
    text = f"{pin.tag}, from an archive\n\nsha256: {digest}\n"
    return import_files(git, files, ref=ref, message=text), f"the archive {location}"


def _repository(git: Git, location: Path, pin: SourcePin, ref: str) -> Oid:
    commit = pin.commit or commit_at(Git(location), f"refs/tags/{pin.tag}")
    if commit is None or not pin.means(commit) or not has_commit(location, commit):
        wanted = pin.commit or (f"{pin.abbreviated}..." if pin.abbreviated else "that the manifest pins")
        raise SourceError(
            f"the repository {location} does not have commit {wanted} ({pin.tag})",
            fix=f"git -C {location} fetch --depth=1 {pin.url} tag {pin.tag}",
        )
    try:
        fetch_commit(git, location.absolute().as_uri(), commit, ref=ref, tag=pin.tag)
    except ToolchainError as error:
        raise SourceError(f"cannot copy {pin.tag} from {location}: {reason(error)}") from error
    return commit


def _files(folder: Path) -> Iterator[Member]:
    names = MemberNames(str(folder))
    for parent, children, found in os.walk(folder):
        top = Path(parent) == folder
        children[:] = sorted(c for c in children if c not in SKIPPED_FOLDERS and not (top and c == "build"))
        for name in sorted([*found, *(c for c in children if Path(parent, c).is_symlink())]):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if path.suffix in SKIPPED_SUFFIXES:
                continue
            if path.is_symlink() or not path.is_file():
                raise names.refused(relative, "is not a regular file")
            executable = os.access(path, os.X_OK)
            yield Member(path=names.check(relative), executable=executable, content=path.read_bytes())
