"""The files that are looked at: a tag's, or a few in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from winvllm_build.intake.checkout import Checkout


class Files:
    """A tree, read only.

    Args:
        names: every path, with `/`.
        read: the bytes of a path that is in `names`.
        fetch: told which paths are about to be read, so that they can be read in one go.
    """

    def __init__(
        self,
        names: Iterable[str],
        read: Callable[[str], bytes | None],
        fetch: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        self.names = tuple(sorted(names))
        self._known = frozenset(self.names)
        self._read = read
        self._fetch = fetch

    @classmethod
    def of_checkout(cls, checkout: Checkout) -> Files:
        return cls(checkout.entries, checkout.content, checkout.fetch)

    @classmethod
    def of_mapping(cls, contents: Mapping[str, bytes]) -> Files:
        return cls(contents, contents.get)

    def __contains__(self, path: str) -> bool:
        return path in self._known

    def below(self, *folders: str) -> tuple[str, ...]:
        """The files in these folders and their subfolders."""
        starts = tuple(f"{folder}/" for folder in folders)
        return tuple(path for path in self.names if path.startswith(starts))

    def fetch(self, paths: Iterable[str]) -> None:
        """Read many files at once."""
        if self._fetch is not None:
            self._fetch(paths)

    def content(self, path: str) -> bytes | None:
        """A file's bytes; None where there is none."""
        return self._read(path) if path in self._known else None

    def text(self, path: str) -> str | None:
        """A file as text, what is no UTF-8 replaced; line ends become LF."""
        found = self.content(path)
        if found is None:
            return None
        return found.decode("utf-8-sig", "replace").replace("\r\n", "\n")
