"""How CMake's compilation database says a source is compiled, made into one unit for each architecture."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.git import RepoPath

GENCODE: Final = re.compile(r"arch=compute_(\d+)([af]?),")
FOLDERS: Final = ("-I", "-isystem", "-L", "-ccbin", "--compiler-bindir")
DROPPED: Final = re.compile(r"-O\d?|-g|-lineinfo|-G|--threads=\d+|--compress-mode=\w+|-x")
"""What decides nothing that is compared: code is optimised for the host after what is looked at here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One source for one architecture.

    Attributes:
        source: in the tree.
        arch: the compute capability, as in "8.6" or "10.0f"; empty for C++.
        target: CMake's name of what it is compiled for.
        compiler: nvcc or the C++ compiler.
        arguments: its command line without input, output, architectures and levels of optimising.
        folder: where it is run.
    """

    source: RepoPath
    arch: str
    target: str
    compiler: Path
    arguments: tuple[str, ...]
    folder: Path

    @property
    def is_cuda(self) -> bool:
        return self.source.endswith(".cu")

    @property
    def key(self) -> tuple[str, str]:
        return self.source, self.arch

    @property
    def code(self) -> str:
        """`compute_86`; the empty text where none is asked for."""
        return f"compute_{self.arch.replace('.', '')}" if self.arch else ""

    @property
    def options(self) -> tuple[str, ...]:
        """What decides the result, without paths: definitions, the standard, switches of the compiler."""
        return tuple(sorted({word for word in _without_folders(self.arguments) if "/" not in word}))

    @property
    def name(self) -> str:
        return f"{self.source} for {self.arch}" if self.arch else self.source

    def moved(self, old: Path, new: Path) -> tuple[str, ...]:
        """The arguments with one folder in place of another."""
        return tuple(re.sub(rf"{re.escape(str(old))}(?=/|$)", str(new), word) for word in self.arguments)

    def includes(self, tree: Path) -> tuple[RepoPath, ...]:
        """The include folders inside the tree, in the compiler's order."""
        found = (_relative(folder, tree) for folder in _folders(self.arguments))
        return tuple(dict.fromkeys(path for path in found if path is not None))


def recipes(entries: Iterable[Mapping[str, str]], tree: Path) -> tuple[Recipe, ...]:
    """A recipe for each source inside the tree and each architecture it is compiled for.

    A source of several targets is taken once.
    """
    made: dict[tuple[str, str], Recipe] = {}
    for entry in entries:
        path = _relative(entry["file"], tree)
        if path is not None:
            for recipe in _of_entry(entry, path):
                made.setdefault(recipe.key, recipe)
    return tuple(made[key] for key in sorted(made))


def _of_entry(entry: Mapping[str, str], path: RepoPath) -> Iterator[Recipe]:
    words = shlex.split(entry["command"])
    arguments, gencodes = _arguments(words[1:], entry["file"])
    target = re.search(r"CMakeFiles/([^/]+)\.dir/", entry["command"])
    archs = sorted({f"{m[1][:-1]}.{m[1][-1]}{m[2]}" for m in map(GENCODE.match, gencodes) if m}) or [""]
    for arch in archs:
        yield Recipe(
            source=path, arch=arch, target=target[1] if target else "", compiler=Path(words[0]),
            arguments=arguments, folder=Path(entry["directory"]),
        )  # fmt: skip


def _arguments(words: Sequence[str], source: str) -> tuple[tuple[str, ...], list[str]]:
    """What is kept of a command line, and what stands behind each `-gencode`."""
    kept: list[str] = []
    gencodes: list[str] = []
    left = iter(words)
    for word in left:
        if word in ("-o", "-MF", "-MT", "-MQ"):
            next(left, None)
        elif word == "-gencode":
            gencodes.append(next(left, ""))
        elif word == "-x":
            next(left, None)
        elif word not in ("-c", "-MD", source) and not DROPPED.fullmatch(word):
            kept.append(word)
    return tuple(kept), gencodes


def _folders(arguments: Sequence[str]) -> Iterator[str]:
    left = iter(arguments)
    for word in left:
        if word in ("-I", "-isystem"):
            yield next(left, "")
        elif word.startswith("-I"):
            yield word[2:]


def _without_folders(arguments: Sequence[str]) -> Iterator[str]:
    left = iter(arguments)
    for word in left:
        if word in FOLDERS:
            next(left, None)
        elif not word.startswith(FOLDERS):
            yield word


def _relative(file: str, tree: Path) -> RepoPath | None:
    path = Path(file)
    return RepoPath(path.relative_to(tree).as_posix()) if path.is_relative_to(tree) else None
