"""The files of a tag, read from git's objects; no working tree is needed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from winvllm_build.errors import SourceError
from winvllm_build.git import Git, Oid, TreeEntry
from winvllm_build.patchset import tree as objects
from winvllm_build.sources.source import Source


class Checkout:
    """One tree; each file is read once."""

    def __init__(self, git: Git, tree: Oid, name: str) -> None:
        self.name = name
        self.tree = tree
        self._git = git
        self._read: dict[str, bytes] = {}

    @classmethod
    def of(cls, source: Source) -> Checkout:
        return cls(Git(source.repository), source.tree, source.tag)

    @cached_property
    def entries(self) -> Mapping[str, TreeEntry]:
        """Every file by its path."""
        return {str(path): entry for path, entry in self._git.entries(self.tree).items()}

    def below(self, *folders: str) -> tuple[str, ...]:
        """The files in these folders and their subfolders."""
        starts = tuple(f"{folder}/" for folder in folders)
        return tuple(path for path in self.entries if path.startswith(starts))

    def fetch(self, paths: Iterable[str]) -> None:
        """Read many files by one run of git."""
        wanted = [path for path in paths if path in self.entries and path not in self._read]
        blobs = objects.contents(self._git, [self.entries[path].oid for path in wanted])
        self._read.update({path: blobs[self.entries[path].oid] for path in wanted})

    def content(self, path: str) -> bytes | None:
        """A file's bytes; None where the tag has no such file."""
        if path not in self.entries:
            return None
        self.fetch([path])
        return self._read[path]

    def text(self, path: str) -> str:
        """A file that the tag has to have.

        Raises:
            SourceError: it has not, or not in UTF-8.
        """
        found = self.content(path)
        if found is None:
            raise SourceError(
                f"{self.name} has no {path}: it does not look like vLLM", fix="check which source was given"
            )
        try:
            return found.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SourceError(f"{path} of {self.name} is not UTF-8: {error}") from error

    def optional_text(self, path: str) -> str | None:
        return self.text(path) if path in self.entries else None
