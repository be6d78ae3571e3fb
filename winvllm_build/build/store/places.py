"""Folders by name: what is kept of an edge has to mean the same in another folder, on another machine."""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Mapping
from pathlib import Path

from winvllm_build.build.engine.edge import Roots


class Places:
    """Names folders in paths and printed text, and spells the names again.

    A folder is named only where it ends at a separator: `/src/vllm` does not name `/src/vllm-old/x`.
    """

    def __init__(self, roots: Roots, base: Path, *, windows: bool = os.name == "nt") -> None:
        r"""Keep the folders, the deepest first.

        Args:
            roots: the folders and their names.
            base: the build folder, which relative paths start from.
            windows: compare without case, and take `\\` for a separator.
        """
        self.base = base
        self._windows = windows
        known = [*roots.folders.items(), *roots.aliases]
        pairs = [(name, _slashed(folder, windows=windows)) for name, folder in known if folder]
        self._folders = sorted(pairs, key=lambda pair: -len(pair[1]))
        own = {(name, _slashed(folder, windows=windows)) for name, folder in roots.folders.items()}
        self._own = [pair for pair in self._folders if pair in own]
        self._spelt: dict[str, str] = {}
        self._files: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._pattern = _pattern([folder for _, folder in self._folders], windows=windows)
        self._names = {folder.casefold() if windows else folder: name for name, folder in self._folders}

    @property
    def folders(self) -> Mapping[str, str]:
        return dict(self._own)

    @property
    def spellings(self) -> Mapping[str, str]:
        """Every path that stands for a named folder here; those behind links under names of their own."""
        behind = {f"{name} behind {folder}": folder for name, folder in self._folders}
        own = {f"{name} behind {folder}" for name, folder in self._own}
        return {**self.folders, **{name: folder for name, folder in behind.items() if name not in own}}

    def named(self, path: str) -> str:
        """The path with the deepest folder that holds it replaced by its name."""
        found = self._known.get(path)
        if found is None:
            found = self._known[path] = self._named(path)
        return found

    def _named(self, path: str) -> str:
        text = _slashed(path, windows=self._windows)
        probe = text.casefold() if self._windows else text
        for name, folder in self._folders:
            start = folder.casefold() if self._windows else folder
            if probe.startswith(start) and probe[len(start) : len(start) + 1] in ("", "/"):
                return name + text[len(folder) :]
        return text

    def spelt(self, named: str) -> str:
        """The path that `named` stands for here."""
        found = self._spelt.get(named)
        if found is None:
            found = named
            for name, folder in self._own:
                if named.startswith(name) and named[len(name) : len(name) + 1] in ("", "/"):
                    found = folder + named[len(name) :]
                    break
            self._spelt[named] = found
        return found

    def file(self, named: str) -> str:
        """As `spelt`, made absolute; for opening."""
        found = self._files.get(named)
        if found is None:
            found = self._files[named] = os.path.join(self.base, self.spelt(named))  # noqa: PTH118 - as it is
        return found

    def named_text(self, text: bytes) -> bytes:
        """Printed text with folders named; for showing it elsewhere, not for comparing."""
        if self._pattern is None or not text:
            return text
        return self._pattern.sub(lambda match: self._name_of(match[0]), text)

    def spelt_text(self, text: bytes) -> bytes:
        for name, _ in self._folders:
            text = text.replace(_mark(name), os.fsencode(self.spelt(name).replace("/", os.sep)))
        return text

    def _name_of(self, folder: bytes) -> bytes:
        text = _slashed(os.fsdecode(folder), windows=self._windows)
        return _mark(self._names[text.casefold() if self._windows else text])

    def inside(self, content: mmap.mmap) -> dict[str, str]:
        """Those folders that `content` spells out, as an object with debug information does."""
        found: dict[str, str] = {}
        for name, folder in self.spellings.items():
            forms = [folder, folder.replace("/", "\\")] if self._windows else [folder]
            if any(content.find(os.fsencode(form)) >= 0 for form in forms):
                found[name] = folder
        return found


def _mark(name: str) -> bytes:
    return b"\0" + name.encode() + b"\0"


def _slashed(path: str, *, windows: bool) -> str:
    text = path.replace("\\", "/") if windows else path
    return text.rstrip("/") or "/" if len(text) > 1 else text


def _pattern(folders: list[str], *, windows: bool) -> re.Pattern[bytes] | None:
    if not folders:
        return None
    forms = [re.escape(os.fsencode(folder)) for folder in folders]
    if windows:
        forms = [form.replace(b"/", rb"[\\/]") for form in forms]
    return re.compile(b"(?:" + b"|".join(forms) + rb")(?![\w.+-])", re.IGNORECASE if windows else 0)
