"""The files of a tree that a source file includes, directly or through others, whatever conditions say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from typing import Final

from winvllm_build.git import RepoPath

INCLUDE: Final = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*(["<])([^">\n]+)[">]', re.MULTILINE)
Reader = Callable[[RepoPath], tuple[bytes, ...]]
"""The texts of a path, before and after a patch; none where the tree has no such file."""


class Includes:
    """Reads each file once."""

    def __init__(self, read: Reader, folders: Sequence[RepoPath]) -> None:
        self._read = read
        self._folders = tuple(folders)
        self._direct: dict[RepoPath, tuple[RepoPath, ...]] = {}

    def of(self, source: RepoPath) -> frozenset[RepoPath]:
        """The source and everything of the tree that it includes."""
        found = {source}
        left = [source]
        while left:
            for path in self._of_one(left.pop()):
                if path not in found:
                    found.add(path)
                    left.append(path)
        return frozenset(found)

    def texts(self, path: RepoPath) -> tuple[bytes, ...]:
        """The texts of one file."""
        return self._read(path)

    def _of_one(self, path: RepoPath) -> tuple[RepoPath, ...]:
        if path not in self._direct:
            named = {match.groups() for text in self._read(path) for match in INCLUDE.finditer(text)}
            resolved = (self._resolved(path, sign == b'"', name.decode("utf-8", "replace"))
                        for sign, name in sorted(named))  # fmt: skip
            self._direct[path] = tuple(found for found in resolved if found is not None)
        return self._direct[path]

    def _resolved(self, path: RepoPath, quoted: bool, name: str) -> RepoPath | None:  # noqa: FBT001 - private
        own = [posixpath.dirname(path)] if quoted else []
        for folder in (*own, *self._folders):
            candidate = RepoPath(posixpath.normpath(posixpath.join(folder, name)))
            if not candidate.startswith("..") and self._read(candidate):
                return candidate
        return None
