"""The throw-away worktree of a hand-off: made of a commit, with settings of its own, removed whole."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from winvllm_build.choices import SourceKind
from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath, TreeEntry
from winvllm_build.patchset import tree as trees
from winvllm_build.patchset.worktree import PRIVATE, Worktree, open_worktree, scratch, snapshot, untracked
from winvllm_build.sources.source import LOCK_SECONDS, Source, worktree
from winvllm_build.workspace import locked, storage_errors, write_atomic

PREFIX: Final = "port-"
SETTINGS: Final = """\
# for the throw-away worktrees of `winvllm-build port`, whoever runs git there
[core]
\tautocrlf = false
\teol = lf
\tsafecrlf = false
\tattributesFile =
\thooksPath = /dev/null
\tquotePath = false
[commit]
\tgpgSign = false
[merge]
\tconflictStyle = zdiff3
\trenames = true
\tdirectoryRenames = conflict
[mergetool]
\tkeepBackup = false
[rerere]
\tenabled = true
\tautoUpdate = true
[user]
\tname = winvllm-build port
\temail = winvllm-build@localhost
"""
LEFTOVER: Final = re.compile(r"((?:.*/)?)\.([^/]+)\.[a-z0-9_]{8}\.tmp")
"""How `write_atomic` names a file before it is whole."""
NEUTRAL: Final = (
    b"# attributes of upstream's files do not hold here: every byte is as it is in the tag\n"
    b"* -text !eol !crlf -filter -ident !working-tree-encoding !diff !merge !whitespace\n"
)
"""In info/attributes these outrank every .gitattributes."""
FOREVER: Final = ("gc.rerereResolved", "gc.rerereUnresolved")
"""Resolutions are remembered however seldom a tag is ported."""


def folder_of(workspace_trees: Path, new: str) -> Path:
    return workspace_trees / f"{PREFIX}{new}"


def make(repository: Path, commit: Oid, folder: Path, *, on_event: Callable[[str], None]) -> Worktree:
    """A worktree of `commit`; what a killed run left there is removed.

    Raises:
        TreeStateError: the folder is something else.
        StorageError: it cannot be written.
    """
    if folder.exists():
        Git(folder).end_orphans()
        discard(repository, folder)
    _configure(repository)
    git = Git(repository)
    source = Source(
        kind=SourceKind.GIT, tag=folder.name, commit=commit, tree=git.tree_of(commit), repository=repository,
        description=f"commit {commit}",
    )  # fmt: skip
    return open_worktree(worktree(source, folder, on_event=on_event))


def ignore_attributes(repository: Path, *commits: Oid) -> None:
    """Where a tree brings attributes, they change no byte in any worktree of the repository.

    Raises:
        StorageError: it cannot be written.
    """
    git = Git(repository)
    names = (path.rpartition("/")[2] for commit in commits for path in git.entries(commit))
    file = repository / "info" / "attributes"
    if ".gitattributes" in names and not (file.is_file() and file.read_bytes() == NEUTRAL):
        write_atomic(file, NEUTRAL)


def discard(repository: Path, folder: Path) -> None:
    """Remove the worktree at `folder`, whole or half-made, and what the repository knows of it.

    Raises:
        StorageError: a file is in use, or the disk refuses.
    """
    with locked(repository.parent / "repo.lock", f"the source repository {repository}", wait=LOCK_SECONDS):
        known = _private_folders(repository, folder)
        with storage_errors(str(folder)):
            if known and folder.exists():
                shutil.rmtree(folder)
            for private in known:
                shutil.rmtree(private)


def exact(place: Worktree) -> Oid:
    """The tracked files exactly as they lie there, as a tree whose objects stay."""
    with storage_errors(str(place.objects)), scratch(place, keep=True) as git:
        return snapshot(place, git)


def put(place: Worktree, wanted: Mapping[RepoPath, TreeEntry | None]) -> None:
    """Write files and their index entries, without conflict; None removes both.

    Raises:
        StorageError: the disk refused.
    """
    blobs = trees.contents(place.git, [entry.oid for entry in wanted.values() if entry is not None])
    records = "".join(f"0 {NO_OBJECT}\t{path}\0" for path in wanted)
    records += "".join(f"{e.mode} {e.oid}\t{path}\0" for path, e in wanted.items() if e is not None)
    for path, entry in wanted.items():
        file = place.file(path)
        with storage_errors(str(file)):
            if entry is None:
                file.unlink(missing_ok=True)
                continue
            if not file.is_file() or file.read_bytes() != blobs[entry.oid]:
                write_atomic(file, blobs[entry.oid])
            file.chmod(0o755 if entry.mode == "100755" else 0o644)
    stdin = records.encode("utf-8", "surrogateescape")
    place.git.out("update-index", "-z", "--add", "--replace", "--index-info", stdin=stdin)
    place.git.run("update-index", "-q", "--refresh", ok=(0, 1))


def unknown(place: Worktree) -> tuple[RepoPath, ...]:
    """Files that git neither tracks nor ignores; what a killed `put` left is removed."""
    found = []
    for path in untracked(place):
        name = LEFTOVER.fullmatch(path)
        if name and place.file(RepoPath(f"{name[1]}{name[2]}")).is_file():
            place.file(path).unlink(missing_ok=True)
        else:
            found.append(path)
    return tuple(found)


def unlearn(place: Worktree, paths: Collection[RepoPath]) -> None:
    """What these files have now is no resolution to remember, though they were in conflict.

    In MERGE_RR git has an id, a tab, the path and NUL for each file whose resolution it waits for.

    Raises:
        StorageError: the disk refused.
    """
    file = place.git_folder / "MERGE_RR"
    if not file.is_file():
        return
    records = file.read_bytes().split(b"\0")[:-1]
    named = {path.encode("utf-8", "surrogateescape") for path in paths}
    kept = [record for record in records if record.partition(b"\t")[2] not in named]
    if len(kept) != len(records):
        write_atomic(file, b"".join(record + b"\0" for record in kept))


def _private_folders(repository: Path, folder: Path) -> list[Path]:
    """What the repository has of worktrees at `folder`: by the file that points back, or without it."""
    wanted = (folder / ".git").absolute()
    found = []
    for pointer in sorted((repository / "worktrees").glob("*/gitdir")):
        named = Path(pointer.read_text(encoding="utf-8", errors="surrogateescape").strip())
        if named == wanted or named.parent.resolve() == folder.resolve():
            found.append(pointer.parent)
    half = (repository / "worktrees").glob(f"{folder.name}*")
    return found + [private for private in half if not (private / "gitdir").exists()]


def _configure(repository: Path) -> None:
    """Settings for every git that is run in such a worktree, by a condition on its private folder."""
    git = Git(repository)
    file = repository / PRIVATE / "port.gitconfig"
    if not file.is_file() or file.read_text(encoding="utf-8") != SETTINGS:
        write_atomic(file, SETTINGS.encode())
    wanted = {f"includeIf.gitdir:**/worktrees/{PREFIX}*.path": f"{PRIVATE}/{file.name}"}
    wanted |= dict.fromkeys(FOREVER, "never")
    config = repository / "config"
    for key, value in wanted.items():
        if git.run("config", "--file", str(config), "--get", key, ok=(0, 1)).text.strip() != value:
            git.out("config", "--file", str(config), key, value)
