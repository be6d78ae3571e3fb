"""The one door to git: plumbing only, bytes in, bytes out, isolated from anyone's configuration."""

from __future__ import annotations

import os
import re
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NewType

from winvllm_build import process
from winvllm_build.errors import StorageError, ToolchainError

Oid = NewType("Oid", str)
"""A full object id: 40 lower-case hexadecimal digits."""
RepoPath = NewType("RepoPath", str)
"""A path inside a repository: POSIX separators, never a `Path`; undecodable bytes as surrogates."""

EMPTY_TREE: Final = Oid("4b825dc642cb6eb9a060e54bf8d69288fbee4904")
NO_OBJECT: Final = Oid("0" * 40)
MINIMUM: Final = (2, 38)
"""`git merge-tree --write-tree` first appeared in 2.38."""

SHOWN_LINES: Final = 6
"""Lines of git's own words in an error; a full disk is told once for every file."""
UNWRITTEN: Final = (b"No space left on device", b"unable to write file", b"Read-only file system")
"""What git says, untranslated, when the disk refuses; it has one exit code for everything, and tidies up."""

SAFE: Final = "safe.directory"
NOT_OURS: Final = b"dubious ownership"
"""What git says of a repository that belongs to another account, whatever it was asked."""

PINNED: Final = (
    "core.attributesFile=",
    "core.autocrlf=false",
    "core.bigFileThreshold=512m",
    "core.eol=lf",
    "core.excludesFile=",
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.longpaths=true",
    "core.quotePath=false",
    "core.symlinks=false",
    "apply.whitespace=nowarn",
    "commit.gpgSign=false",
    "diff.suppressBlankEmpty=false",
    "gc.auto=0",
    "merge.conflictStyle=zdiff3",
    "merge.directoryRenames=conflict",
    "merge.renames=true",
)
INHERITED: Final = (
    "PATH", "HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "COMSPEC", "GIT_EXEC_PATH",
)  # fmt: skip
ISOLATION: Final = {
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",  # Git for Windows maps it to nul itself
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
UNATTENDED: Final = {"GCM_INTERACTIVE": "never", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
PATIENCE: Final = ("http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "fetch.writeCommitGraph=false")
"""A transfer slower than 1000 bytes a second for 30 s has died."""
IDENTITY: Final = {
    "GIT_AUTHOR_DATE": "@0 +0000",
    "GIT_AUTHOR_EMAIL": "winvllm-build@localhost",
    "GIT_AUTHOR_NAME": "winvllm-build",
    "GIT_COMMITTER_DATE": "@0 +0000",
    "GIT_COMMITTER_EMAIL": "winvllm-build@localhost",
    "GIT_COMMITTER_NAME": "winvllm-build",
}
"""A fixed author, committer and date make every commit of the tool reproducible."""


class GitError(ToolchainError):
    """A git command failed; carries the arguments, the exit code and git's own words."""

    def __init__(self, args: tuple[str, ...], code: int, stderr: bytes) -> None:
        lines = stderr.decode("utf-8", "replace").strip().splitlines()
        said = lines if len(lines) <= SHOWN_LINES else [*lines[: SHOWN_LINES - 2], "...", lines[-1]]
        super().__init__(f"git {' '.join(args)} exited {code}: " + "\n".join(said))
        self.code = code
        self.stderr = stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One line of `ls-tree`: `mode` is git's six octal digits."""

    mode: str
    oid: Oid
    path: RepoPath


class Git:
    """git in one folder (a worktree, a `.git` or a bare repository)."""

    def __init__(
        self, folder: Path, *, program: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.program = program or find_git()
        self.environment = dict(environment or {})
        kept = {k: v for k, v in os.environ.items() if k.upper() in INHERITED}
        self._env = kept | ISOLATION | IDENTITY | self.environment
        pins = (*PINNED, *_trusted(self.program))
        self._options = tuple(x for pin in pins for x in ("-c", pin))

    def run(
        self, *args: str, stdin: bytes = b"", index: Path | None = None, ok: tuple[int, ...] = (0,)
    ) -> process.Completed:
        """Run plumbing with the isolated configuration.

        Args:
            args: git's arguments, without `git` itself.
            stdin: bytes for git's standard input.
            index: another index file than the folder's own.
            ok: exit codes that are answers, not failures.

        Raises:
            GitError: any other exit code.
        """
        env = self._env if index is None else self._env | {"GIT_INDEX_FILE": str(index)}
        done = process.capture([self.program, "-C", self.folder, *self._options, *args], env=env, stdin=stdin)
        if done.code not in ok or NOT_OURS in done.err:
            if any(words in done.err for words in UNWRITTEN):
                raise StorageError(
                    f"git could not write below {self.folder}: the disk is full or read-only",
                    fix="free space there, then run again",
                )
            raise GitError(args, done.code, done.err)
        return done

    def network(self, *args: str, timeout: float | None = None) -> process.Completed:
        """Run git against a remote: the user's proxies, credentials and URL rewrites count, prompts do not.

        Args:
            args: git's arguments; this folder is a bare repository.
            timeout: seconds after which git is ended.

        Raises:
            ToolchainError: git failed (`GitError`) or ran out of time.
        """
        done = process.capture(self._remote(*args), env=_users_environment(), timeout=timeout)
        if done.code != 0:
            raise GitError(args, done.code, done.err)
        return done

    def transfer(self, *args: str, on_line: Callable[[str], None]) -> None:
        """`network` for a command that reports its progress: `on_line` gets each state of its display.

        Raises:
            GitError: git failed.
        """
        last: deque[str] = deque(maxlen=SHOWN_LINES)

        def heard(line: str) -> None:
            last.append(line)
            on_line(line)

        code = process.stream(self._remote(*args), on_line=heard, env=_users_environment(), overwritten=True)
        if code != 0:
            raise GitError(args, code, "\n".join(last).encode())

    def _remote(self, *args: str) -> list[str | os.PathLike[str]]:
        patience = [x for pin in PATIENCE for x in ("-c", pin)]
        return [self.program, f"--git-dir={self.folder}", *self._options, *patience, *args]

    def end_orphans(self) -> None:
        """End git commands on this folder that outlived a killed run; the caller holds its lock."""
        for argument in (str(self.folder), f"--git-dir={self.folder}"):
            process.end_orphans("git", argument)

    def out(self, *args: str, stdin: bytes = b"", index: Path | None = None) -> bytes:
        return self.run(*args, stdin=stdin, index=index).out

    def line(self, *args: str, stdin: bytes = b"", index: Path | None = None) -> str:
        return self.out(*args, stdin=stdin, index=index).decode("utf-8", "surrogateescape").strip()

    @contextmanager
    def temporary_index(self, tree: Oid | None = None) -> Iterator[Path]:
        """An index file of its own, filled from `tree`; the folder's index stays as it is."""
        with tempfile.TemporaryDirectory(prefix="winvllm-index-") as folder:
            path = Path(folder, "index")
            if tree is not None:
                self.out("read-tree", tree, index=path)
            yield path

    def tree_of(self, revision: str) -> Oid:
        return Oid(self.line("rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}"))

    def entries(self, tree: str, paths: tuple[RepoPath, ...] = ()) -> dict[RepoPath, TreeEntry]:
        """Every file of `tree` (or just `paths`, taken literally)."""
        listed = self.out("--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", tree, "--", *paths)
        found: dict[RepoPath, TreeEntry] = {}
        for record in listed.decode("utf-8", "surrogateescape").split("\0")[:-1]:
            meta, _, name = record.partition("\t")
            mode, _, oid = meta.split(" ")
            found[RepoPath(name)] = TreeEntry(mode=mode, oid=Oid(oid), path=RepoPath(name))
        return found

    def commit_tree(self, tree: Oid, message: str, *, parents: tuple[str, ...] = ()) -> Oid:
        """A commit object with the tool's fixed identity and date: the same input gives the same id."""
        linked = [x for parent in parents for x in ("-p", parent)]
        return Oid(self.line("commit-tree", tree, *linked, "-m", message))

    def private_path(self, name: str) -> Path:
        """`name` inside this worktree's own git folder."""
        return (self.folder / self.line("rev-parse", "--git-path", name)).absolute()

    def is_worktree(self) -> bool:
        done = self.run("rev-parse", "--show-prefix", "--is-inside-work-tree", ok=(0, 128))
        return done.code == 0 and done.out.decode("utf-8", "replace").splitlines() == ["", "true"]


def _users_environment() -> dict[str, str]:
    foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")
    return {k: v for k, v in os.environ.items() if k.upper() not in foreign} | UNATTENDED


@lru_cache(maxsize=1)
def find_git() -> Path:
    """The git program on PATH.

    Raises:
        ToolchainError: there is none, or it is older than `MINIMUM`.
    """
    program = process.which("git")
    if program is None:
        raise ToolchainError("git is not installed or not on PATH", fix="install git 2.38 or newer")
    said = process.capture([program, "--version"]).text
    number = re.search(r"(\d+)\.(\d+)", said)
    if number is None or (int(number[1]), int(number[2])) < MINIMUM:
        raise ToolchainError(f"{said.strip()} at {program} is too old", fix="install git 2.38 or newer")
    return program


@lru_cache(maxsize=1)
def _trusted(program: Path) -> tuple[str, ...]:
    """The folders of other accounts that the user trusts, as settings; no repository has a say in that."""
    nowhere = {"GIT_DIR": os.devnull}
    asked = (program, "config", "--includes", "-z", "--get-all", SAFE)
    listed = process.capture(asked, env={**_users_environment(), **nowhere}).text
    return tuple(f"{SAFE}={folder}" for folder in listed.split("\0")[:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """The user's own git: ours is isolated from it, CMake's downloads and pip's are not.

    Attributes:
        values: settings by lower-case name, as far as they are set: "core.longpaths": "true".
    """

    program: Path
    version: str
    values: Mapping[str, str]

    def is_true(self, name: str) -> bool:
        return self.values.get(name.lower(), "").lower() in {"true", "yes", "on", "1"}


def user_settings() -> UserSettings:
    """What the user's configuration says in `core.*`, wherever it is set, outside of any repository.

    Raises:
        ToolchainError: git is missing or too old.
    """
    program = find_git()
    environment = _users_environment()
    said = process.capture([program, "--version"], env=environment).text.strip()
    with tempfile.TemporaryDirectory(prefix="winvllm-git-") as nowhere:
        asked = (str(program), "config", "--includes", "-z", "--get-regexp", r"^core\.")
        listed = process.capture(asked, cwd=Path(nowhere), env=environment).text
    pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return UserSettings(
        program=program,
        version=said.removeprefix("git version "),
        values={name.lower(): value if newline else "true" for name, newline, value in pairs},
    )
