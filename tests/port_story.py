"""A small upstream with releases, patch sets for them, and a workspace with their sources: all real git."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.choices import SourceKind
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.index import Index
from winvllm_build.patchset import record
from winvllm_build.patchset.record import Decision, Ported, Record
from winvllm_build.patchset.regen import regen
from winvllm_build.port import driver, statefile
from winvllm_build.port.driver import Choice, Outcome
from winvllm_build.port.job import Doors, Job
from winvllm_build.port.opening import open_job
from winvllm_build.port.state import HandOff, State
from winvllm_build.process import Completed, capture
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.sources.source import acquire
from winvllm_build.workspace import Workspace

URL = "https://example.invalid/vllm"
Files = Mapping[str, bytes | None]
"""Names with contents; None is no file."""
HEADER = "Subject: Change {path}\nDescription: For the tests.\nUpstream-Status: Pending\n"


@dataclass
class Story:
    """Everything lies below `top`, and can be copied as it is."""

    top: Path
    told: list[str] = field(default_factory=list)

    @property
    def tree(self) -> Path:
        """Upstream's own repository."""
        return self.top / "upstream"

    @property
    def root(self) -> Path:
        """The folder of patch sets."""
        return self.top / "patches"

    @property
    def workspace(self) -> Workspace:
        return Workspace(root=self.top / "home")

    @property
    def git(self) -> Git:
        return Git(self.tree)

    @property
    def repository(self) -> Path:
        """The tool's own, with every release's source."""
        return self.workspace.sources / "vllm" / "repo.git"

    @classmethod
    def make(cls, top: Path) -> Story:
        made = cls(top=top)
        made.tree.mkdir(parents=True)
        made.git.out("init", "-q", "--template=", "-b", "main")
        return made

    def copied(self, top: Path) -> Story:
        shutil.copytree(self.top, top, symlinks=True)
        return Story(top=top)

    def release(self, tag: str, files: Files, *, executable: Sequence[str] = (), manifest: str = "") -> Oid:
        """A release that is the last one with `files` changed; its source is in the workspace then."""
        write(self.tree, files)
        for name in executable:
            (self.tree / name).chmod(0o755)
        self.git.out("-c", "core.autocrlf=false", "add", "-A")
        commit = self.git.commit_tree(Oid(self.git.line("write-tree")), tag)
        self.git.out("update-ref", "HEAD", commit)
        self.git.out("update-ref", f"refs/tags/{tag}", commit)
        self.pin(tag, commit, manifest)
        return commit

    def pin(self, tag: str, commit: str, manifest: str = "") -> None:
        """A manifest for a commit of upstream's, whose source is in the workspace then."""
        file = self.root / tag / "patchset.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        pinned = f'url = "{URL}"\ntag = "{tag}"\ncommit = "{commit}"\n'
        file.write_text(f"schema = 1\n[upstream]\n{pinned}{manifest}", encoding="utf-8")
        acquire(
            read_pins(file).upstream, kind=SourceKind.LOCAL, location=str(self.tree),
            workspace=self.workspace, offline=True, on_event=self.told.append,
        )  # fmt: skip

    def patch(
        self, tag: str, edits: Files, *, layer: str | None = None, target: str = "vllm",
        executable: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """A layer of the set of `tag`, made by editing the release with the layers below it."""
        write(self.tree, edits)
        for name in executable:
            (self.tree / name).chmod(0o755)
        headers = self.top / "headers"
        shutil.rmtree(headers, ignore_errors=True)
        write(headers, {f"{name}.hdr": HEADER.format(path=name).encode() for name in (*edits, *executable)})
        regen(
            self.root, tag, self.tree, on_event=self.told.append, layer=layer, target=target,
            new=tuple(edits), headers=headers,
        )  # fmt: skip

    def rest(self) -> None:
        """Upstream's tree without the edits of `patch`."""
        self.git.out("reset", "-q", "--hard")
        self.git.out("clean", "-q", "-fd")

    def doors(self) -> Doors:
        index = Index(self.workspace, offline=True, on_event=self.told.append)
        return Doors(
            workspace=self.workspace, index=index, remotes=Remotes(offline=True), offline=True,
            tell=self.told.append,
        )  # fmt: skip

    def job(self, new: str, old: str | None = None) -> Job:
        return open_job(self.root, new, self.doors(), old=old)

    def begin(self, new: str, choice: Choice | None = None, *, old: str | None = None) -> Outcome:
        return driver.begin(self.job(new, old), choice or Choice(), tell=self.told.append)

    def go_on(self, new: str) -> Outcome:
        state = self.state(new)
        return driver.go_on(self.job(new, state.old), state, Choice(), tell=self.told.append)

    def abort(self, new: str) -> None:
        driver.abort(self.workspace, self.state(new), tell=self.told.append)

    def state(self, new: str) -> State:
        found = statefile.find(self.workspace, new)
        assert found is not None
        return found

    def handoff(self, new: str) -> HandOff:
        found = self.state(new).handoff
        assert found is not None
        return found

    def record(self, tag: str) -> Record:
        found = record.read(self.root / tag / record.FILE)
        assert found is not None
        return found

    def entry(self, tag: str, path: str) -> Ported:
        return next(entry for entry in self.record(tag).patches if entry.path == path)

    def decisions(self, tag: str) -> dict[str, Decision]:
        return {entry.path: entry.decision for entry in self.record(tag).patches}

    def set_bytes(self, tag: str) -> dict[str, bytes]:
        """Every file of a set."""
        return contents(self.root / tag)

    def saved(self) -> dict[str, dict[str, bytes]]:
        """What each commit holds that was kept for the human."""
        git = Git(self.repository)
        refs = git.out("for-each-ref", "--format=%(refname)", "refs/winvllm/saved").decode().split()
        return {
            ref: {path: git.out("cat-file", "blob", e.oid) for path, e in git.entries(ref).items()}
            for ref in refs
        }

    def leftovers(self, new: str) -> list[str]:
        """What a finished port must not leave."""
        git = Git(self.repository)
        found = git.out("for-each-ref", "--format=%(refname)", "refs/winvllm/port").decode().split()
        places = [self.workspace.trees / f"port-{new}", self.workspace.trees / f"port-{new}.proposals"]
        places += [self.repository / "winvllm" / f"port-{new}.json"]
        found += [str(place) for place in places if place.exists()]
        found += [str(place) for place in (self.repository / "worktrees").glob("port-*")]
        return found + [str(place) for place in self.root.rglob("*.tmp")]


def write(folder: Path, files: Files) -> None:
    for name, content in files.items():
        file = folder / name
        if content is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def users_git(folder: Path, *args: str, ok: tuple[int, ...] = (0,)) -> Completed:
    """Git as a person runs it there: with their own configuration, and no option of ours."""
    done = capture(["git", "-C", folder, *args], env=dict(os.environ))
    assert done.code in ok, (args, done.code, done.error_text)
    return done


def lines(count: int, **changed: str) -> bytes:
    """`line 0` to `line <count - 1>`; `l3="x"` makes the fourth one `x`, `x` may have several lines."""
    made = {f"l{n}": f"line {n} of the file" for n in range(count)} | changed
    return "".join(f"{text}\n" for text in made.values()).encode()


def path(name: str) -> RepoPath:
    return RepoPath(name)
