"""The worktree a patch set is applied to: what git knows about it, and a snapshot of its exact bytes."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git, GitError, Oid, RepoPath
from winvllm_build.workspace import Journal

PRIVATE: Final = "winvllm"
UNFINISHED: Final = (
    "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge", "rebase-apply", "BISECT_LOG",
)  # fmt: skip
MARKER_SIZE: Final = 40
"""Longer than any line of `<` or `=` in a source file; only merges in objects see it."""
NEUTRAL_ATTRIBUTES: Final = (
    b"* -text !eol !crlf -filter -ident !working-tree-encoding !diff !merge !whitespace"
    b" conflict-marker-size=%d\n" % MARKER_SIZE
)
"""In info/attributes these outrank every .gitattributes, on each git since 2.38."""
PROBED: Final = re.compile(r"core\.(filemode|ignorecase|precomposeunicode)\n(true|false)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worktree:
    """A worktree's own places: `private` is the tool's folder in its git folder, `objects` may be shared."""

    folder: Path
    git: Git
    git_folder: Path
    objects: Path
    head: Oid
    base: Oid
    """The tree of HEAD."""

    @property
    def private(self) -> Path:
        return self.git_folder / PRIVATE

    @property
    def index(self) -> Path:
        return self.git_folder / "index"

    @property
    def lock_file(self) -> Path:
        return self.private / "lock"

    @property
    def journal(self) -> Journal:
        return Journal(path=self.private / "journal.json")

    @property
    def regen_journal(self) -> Journal:
        """Of patch files that are being written from here."""
        return Journal(path=self.private / "regen.json")

    def file(self, path: RepoPath) -> Path:
        return self.folder / path


def open_worktree(folder: Path) -> Worktree:
    """The worktree whose top folder is `folder`.

    Raises:
        TreeStateError: it is not the top folder of a git worktree with a commit.
    """
    fix = "name the tree the tool made, or a checkout of the tag, with --tree"
    if not folder.is_dir():
        raise TreeStateError(f"{folder} is not a folder", fix=fix)
    git = Git(folder.absolute())
    try:
        said = git.out(
            "rev-parse", "--is-inside-work-tree", "--show-prefix", "--absolute-git-dir",
            "--git-path", "objects", "HEAD^{commit}", "HEAD^{tree}",
        )  # fmt: skip
    except GitError as error:
        words = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TreeStateError(
            f"{folder} is not a source tree of ours: {words[0] if words else error}", fix=fix
        ) from error
    inside, prefix, git_folder, objects, head, base = said.decode("utf-8", "surrogateescape").splitlines()
    if inside != "true" or prefix:
        raise TreeStateError(f"{folder} is a folder inside another repository, not its top", fix=fix)
    return Worktree(
        folder=git.folder, git=git, git_folder=Path(git_folder), objects=git.folder / objects,
        head=Oid(head), base=Oid(base),
    )  # fmt: skip


def scratch(tree: Worktree, *, keep: bool = False) -> AbstractContextManager[Git]:
    """`scratch_of` the worktree's objects."""
    return scratch_of(tree.objects, keep=keep)


@contextmanager
def scratch_of(objects: Path, *, keep: bool = False) -> Iterator[Git]:
    """A git on these objects without anyone's configuration, attributes, hooks, index or files.

    Args:
        objects: a repository's folder of objects, which are read.
        keep: new objects go there instead of vanishing with the block.
    """
    with tempfile.TemporaryDirectory(prefix="winvllm-scratch-") as name:
        folder = Path(name)
        for part in ("objects/info", "refs", "info"):
            (folder / part).mkdir(parents=True)
        (folder / "HEAD").write_bytes(b"ref: refs/heads/none\n")
        (folder / "config").write_bytes(b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n")
        (folder / "info" / "attributes").write_bytes(NEUTRAL_ATTRIBUTES)
        alternates = folder / "objects" / "info" / "alternates"
        alternates.write_bytes(objects.as_posix().encode("utf-8", "surrogateescape") + b"\n")
        environment = {"GIT_DIR": str(folder)}
        if keep:
            environment["GIT_OBJECT_DIRECTORY"] = str(objects)
        yield Git(folder, environment=environment)


def snapshot(tree: Worktree, git: Git, new: Sequence[RepoPath] = ()) -> Oid:
    """The tree object of the tracked files (and `new`) exactly as they lie on disk, unfiltered.

    Args:
        tree: the worktree.
        git: its `scratch`.
        new: untracked files to take in.
    """
    folder = git.folder
    inside = Git(tree.folder, environment={**git.environment, "GIT_WORK_TREE": str(tree.folder)})
    _copy_probed_settings(tree, folder)
    index = folder / "snapshot-index"
    if tree.index.exists():
        shutil.copy2(tree.index, index)  # with its time: git compares it with the files' to find racy edits
        _unhide(tree, inside, index)
    else:
        inside.out("read-tree", tree.base, index=index)
    inside.out("add", "-u", index=index)
    if new:
        names = b"\0".join(path.encode("utf-8", "surrogateescape") for path in new) + b"\0"
        inside.out("update-index", "--add", "-z", "--stdin", stdin=names, index=index)
    return Oid(inside.line("write-tree", index=index))


def unfinished(tree: Worktree) -> str | None:
    """The merge, rebase or cherry-pick under way in the worktree, or None."""
    found = next((name for name in UNFINISHED if (tree.git_folder / name).exists()), None)
    if found is None and tree.git.out("ls-files", "-u", "-z"):
        return "unmerged files"
    return found


def untracked(tree: Worktree) -> tuple[RepoPath, ...]:
    """Files git neither tracks nor ignores; a nested repository ends in a slash."""
    listed = tree.git.out("ls-files", "--others", "--exclude-standard", "-z")
    return tuple(RepoPath(name.decode("utf-8", "surrogateescape")) for name in listed.split(b"\0")[:-1])


def _copy_probed_settings(tree: Worktree, folder: Path) -> None:
    """What `git init` found out about the file system decides what a change of mode is."""
    listed = tree.git.run(
        "config", "--null", "--get-regexp", r"^core\.(filemode|ignorecase|precompose)", ok=(0, 1)
    )
    found = (PROBED.fullmatch(item) for item in listed.text.split("\0"))
    lines = [f"\t{match[1]} = {match[2]}\n" for match in found if match]
    with (folder / "config").open("ab") as file:
        file.write("".join(lines).encode())


def _unhide(tree: Worktree, git: Git, index: Path) -> None:
    """Clear assume-unchanged and skip-worktree of files that are there, so that their edits are seen."""
    hidden: list[bytes] = []
    for record in git.out("ls-files", "-v", "-z", index=index).split(b"\0")[:-1]:
        mark, name = record[:1], record[2:]
        if (mark.islower() or mark == b"S") and tree.file(_path(name)).exists():
            hidden.append(name)
    if hidden:
        names = b"\0".join(hidden) + b"\0"
        for flag in ("--no-assume-unchanged", "--no-skip-worktree"):
            git.out("update-index", flag, "-z", "--stdin", stdin=names, index=index)


def _path(name: bytes) -> RepoPath:
    return RepoPath(name.decode("utf-8", "surrogateescape"))
