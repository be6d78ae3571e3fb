"""The files a foreign patch is tried on: the tag's, and what earlier parts of the patch made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.merge import transplant
from winvllm_build.patchset.paths import REGULAR

NAME = "file"
"""Of the only file in the trees of a merge: two contents and what they were made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file."""

    mode: str
    content: bytes

    @property
    def oid(self) -> Oid:
        return blob_id(self.content)


class Bench:
    """A tree, and changes on top of it that are not written yet."""

    def __init__(self, git: Git, base: Oid) -> None:
        self.git = git
        self.base = base
        self.entries = git.entries(base)
        self.changed: dict[RepoPath, File | None] = {}
        self._known: dict[Oid, bytes] = {}

    def fetch(self, paths: Iterable[RepoPath]) -> None:
        """Read the contents of these files at once."""
        wanted = [self.entries[path].oid for path in paths if path in self.entries]
        self._known |= tree.contents(self.git, [oid for oid in wanted if oid not in self._known])

    def file(self, path: RepoPath) -> File | None:
        """A file as it is now; None where there is none."""
        return self.changed[path] if path in self.changed else self.original(path)

    def original(self, path: RepoPath) -> File | None:
        """A file of the tree, whatever was changed since."""
        entry = self.entries.get(path)
        if entry is None:
            return None
        if entry.oid not in self._known:
            self.fetch([path])
        return File(mode=entry.mode, content=self._known.get(entry.oid, b""))

    def exists(self, path: RepoPath) -> bool:
        return self.changed[path] is not None if path in self.changed else path in self.entries

    def tree(self) -> Oid:
        """The tree with every change in it."""
        return self.written(self.base, self.changed)

    def written(self, base: Oid, files: Mapping[RepoPath, File | None]) -> Oid:
        """`base` with some files as given, None for one that is not there."""
        steps = {
            path: (REGULAR, NO_OBJECT) if file is None else (file.mode, self._stored(file.content))
            for path, file in files.items()
        }
        return with_entries(self.git, base, steps)

    def applied(
        self, text: bytes, files: Mapping[RepoPath, File | None], options: Sequence[str]
    ) -> dict[RepoPath, File] | None:
        """What `git apply` makes of these files alone; None where it refuses.

        Args:
            text: the diff.
            files: what is there, by path.
            options: for `git apply`.
        """
        there = {path: file for path, file in files.items() if file is not None}
        with self.git.temporary_index() as index:
            entries = b"".join(
                f"{file.mode} {self._stored(file.content)}\t".encode("ascii")
                + path.encode("utf-8", "surrogateescape") + b"\0"
                for path, file in there.items()
            )  # fmt: skip
            self.git.out("update-index", "-z", "--index-info", stdin=entries, index=index)
            command = ("apply", "--cached", "--whitespace=nowarn", *options, "-")
            done = self.git.run(*command, stdin=text, index=index, ok=(0, 1, 128))
            if done.code != 0:
                return None
            made = Oid(self.git.line("write-tree", index=index))
        after = self.git.entries(made)
        contents = tree.contents(self.git, [entry.oid for entry in after.values()])
        return {path: File(mode=entry.mode, content=contents[entry.oid]) for path, entry in after.items()}

    def blob(self, oid: str) -> list[bytes]:
        """The contents of every blob in the repository whose id starts like this."""
        listed = self.git.out("rev-parse", f"--disambiguate={oid}").decode("ascii").split()
        return list(
            tree.contents(self.git, [Oid(found) for found in listed if self._is_blob(found)]).values()
        )

    def merged(self, *, base: bytes, changed: bytes, onto: bytes) -> bytes | None:
        """The change from `base` to `changed` made to `onto`; None on a conflict."""
        trees = [self._single(content) for content in (base, changed, onto)]
        merge = transplant(self.git, base=trees[0], changed=trees[1], onto=trees[2])
        if merge.conflicts:
            return None
        entry = self.git.entries(merge.tree)[RepoPath(NAME)]
        return tree.contents(self.git, [entry.oid])[entry.oid]

    def _single(self, content: bytes) -> Oid:
        line = f"{REGULAR} blob {self._stored(content)}\t{NAME}\0".encode("ascii")
        return Oid(self.git.line("mktree", "-z", stdin=line))

    def _stored(self, content: bytes) -> Oid:
        return Oid(self.git.line("hash-object", "-w", "--stdin", "--no-filters", stdin=content))

    def _is_blob(self, oid: str) -> bool:
        return self.git.line("cat-file", "-t", oid) == "blob"


def with_entries(git: Git, base: Oid, entries: Mapping[RepoPath, tuple[str, Oid]]) -> Oid:
    """The tree `base` with some other files: mode and blob of each, `NO_OBJECT` for one that goes."""
    lines = [
        (f"0 {NO_OBJECT}" if oid == NO_OBJECT else f"{mode} {oid}").encode("ascii")
        + b"\t" + path.encode("utf-8", "surrogateescape") + b"\0"
        for path, (mode, oid) in entries.items()
    ]  # fmt: skip
    with git.temporary_index(base) as index:
        git.out("update-index", "-z", "--index-info", stdin=b"".join(lines), index=index)
        return Oid(git.line("write-tree", index=index))
