"""A small upstream repository with a patch set of its own, real files and real git throughout."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset.apply import ApplyResult, apply, unapply
from winvllm_build.patchset.layers import select
from winvllm_build.patchset.patchset import PatchSet, load
from winvllm_build.patchset.regen import regen, relock
from winvllm_build.patchset.rewrite import RegenResult
from winvllm_build.patchset.status import TreeStatus, status

TAG = "v1.2.3"
HEADER = "Subject: Change {path}\nDescription: For the tests.\nUpstream-Status: Pending\nSince: v1.2.3\n"
BASE: Mapping[str, bytes] = {
    "a.py": b"".join(b"line %d\n" % n for n in range(40)),
    "csrc/k.cu": b"// kernel\nint a;\nint b;\nint c;\n",
    "csrc/old.cu": b"int gone;\n",
    "dos.bat": b"@echo off\r\necho one\r\necho two\r\n",
    "notes/readme": b"nothing to patch\n",
}


def nothing(event: str) -> None:
    """An event listener that does not care."""
    del event


@dataclass
class Upstream:
    """A worktree at a commit, and the folder of its patch sets."""

    folder: Path
    patches: Path
    commit: Oid = field(default=Oid(""))
    events: list[str] = field(default_factory=list)

    @property
    def git(self) -> Git:
        return Git(self.folder)

    @classmethod
    def make(
        cls, top: Path, files: Mapping[str, bytes] = BASE, *, executable: tuple[str, ...] = ()
    ) -> Upstream:
        made = cls(folder=top / "tree", patches=top / "patches")
        made.folder.mkdir(parents=True)
        made.git.out("init", "-q", "--template=")
        made.write(files)
        for name in executable:
            (made.folder / name).chmod(0o755)
        made.commit = made.commit_all("base")
        made.manifest(made.commit)
        return made

    def copied(self, top: Path) -> Upstream:
        """The same state in a folder of its own."""
        shutil.copytree(self.folder.parent, top, symlinks=True)
        return Upstream(folder=top / "tree", patches=top / "patches", commit=self.commit)

    def manifest(self, commit: str, more: str = "") -> None:
        file = self.patches / TAG / "patchset.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        pin = f'url = "https://example.invalid/u"\ntag = "{TAG}"\ncommit = "{commit}"\n'
        file.write_text(f"schema = 1\n[upstream]\n{pin}{more}", encoding="utf-8")

    def write(self, files: Mapping[str, bytes] | Mapping[str, bytes | None]) -> None:
        for name, content in files.items():
            file = self.folder / name
            if content is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def commit_all(self, message: str) -> Oid:
        self._stage_exact_bytes()
        tree = Oid(self.git.line("write-tree"))
        commit = self.git.commit_tree(tree, message)
        self.git.out("update-ref", "HEAD", commit)
        return commit

    def _stage_exact_bytes(self) -> None:
        """As `git add -A` does where no attribute and no setting stands in the way."""
        names = sorted(self.content())
        ids = self.git.out(
            "hash-object", "-w", "--no-filters", "--stdin-paths", stdin="\n".join(names).encode()
        )
        records = b""
        for name, oid in zip(names, ids.split(), strict=True):
            mode = b"100755" if (self.folder / name).stat().st_mode & 0o100 else b"100644"
            records += mode + b" " + oid + b"\t" + name.encode() + b"\0"
        self.git.out("read-tree", "--empty")
        self.git.out("update-index", "--add", "-z", "--index-info", stdin=records)
        self.git.run("update-index", "-q", "--refresh", ok=(0, 1))

    def content(self) -> dict[str, bytes]:
        """Every file of the worktree, git's own folder left out."""
        return {
            file.relative_to(self.folder).as_posix(): file.read_bytes()
            for file in sorted(self.folder.rglob("*"))
            if file.is_file() and ".git" not in file.relative_to(self.folder).parts
        }

    def patch_file(self, path: str, layer: str = "windows") -> Path:
        return self.patches / TAG / layer / "vllm" / f"{path}.patch"

    def patch_bytes(self) -> dict[str, bytes]:
        """Every file of the patch set."""
        top = self.patches / TAG
        return {f.relative_to(top).as_posix(): f.read_bytes() for f in sorted(top.rglob("*")) if f.is_file()}

    def regen(self, *, new: tuple[str, ...] = (), check: bool = False, allow_empty: bool = False,
              headers: Path | None = None, layer: str | None = None) -> RegenResult:  # fmt: skip
        return regen(
            self.patches, TAG, self.folder, on_event=self.events.append, new=new, check=check,
            allow_empty=allow_empty, headers=headers, layer=layer,
        )  # fmt: skip

    def relock(self) -> RegenResult:
        return relock(self.patches, TAG, self.folder, on_event=self.events.append)

    def load(self) -> PatchSet:
        return load(self.patches, TAG)

    def apply(self, *layers: str, check: bool = False, restore: bool = False) -> ApplyResult:
        made = self.load()
        return apply(
            made, self.folder, on_event=self.events.append, selection=select(made.manifest, layers),
            check=check, restore=restore,
        )  # fmt: skip

    def unapply(self, *layers: str, check: bool = False, restore: bool = False) -> ApplyResult:
        made = self.load()
        return unapply(
            made, self.folder, on_event=self.events.append, selection=select(made.manifest, layers),
            check=check, restore=restore,
        )  # fmt: skip

    def status(self, *layers: str) -> TreeStatus:
        made = self.load()
        return status(made, self.folder, selection=select(made.manifest, layers))

    def index_tree(self) -> Oid:
        return Oid(self.git.line("write-tree"))


EDITED: Mapping[str, bytes | None] = {
    "a.py": BASE["a.py"].replace(b"line 3\n", b"line three\n").replace(b"line 30\n", b"line thirty\n"),
    "csrc/k.cu": BASE["csrc/k.cu"].replace(b"int b;", b"long b;"),
    "csrc/new/n.cuh": b"#pragma once\n",
    "csrc/old.cu": None,
    "dos.bat": BASE["dos.bat"].replace(b"one", b"ONE"),
}
NEW = ("csrc/new/*",)


def patched(top: Path) -> Upstream:
    """An upstream with a patch set of five files (three edited, one new, one deleted), not applied."""
    made = Upstream.make(top)
    made.write(EDITED)
    made.regen(new=NEW)
    made.unapply()
    made.events.clear()
    return made


def after() -> dict[str, bytes]:
    """The files of `patched` once the set is applied."""
    merged = {**BASE, **EDITED}
    return {name: content for name, content in sorted(merged.items()) if content is not None}


def digest(folder: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of every file below `folder`, links not followed."""
    return {
        file.relative_to(folder).as_posix(): (
            hashlib.sha256(file.read_bytes()).hexdigest(),
            file.stat().st_mtime_ns,
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not file.is_symlink()
    }


def path(name: str) -> RepoPath:
    return RepoPath(name)
