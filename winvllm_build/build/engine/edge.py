"""One compile or link command of a configured build, and the key under which equal work is equal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class Language(Enum):
    """What an edge runs: a compiler for one source file, or a linker."""

    CUDA = "CUDA"
    CXX = "CXX"
    LINK = "link"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A command of the build, without any launcher before it.

    Attributes:
        output: the file it makes, relative to the build folder, as ninja names it.
        target: the CMake target it belongs to.
        language: what runs.
        source: the file it compiles, its root named (`<tree>/csrc/topk.cu`); empty for a link.
        gencodes: what device code is made for, sorted (`sm_86`, `compute_80`); empty for host code.
        arguments: the command line.
        key: digest of the command, its folders named and not spelt, and of the compiler; see `work_key`.
    """

    output: str
    target: str
    language: Language
    source: str
    gencodes: tuple[str, ...]
    arguments: tuple[str, ...]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Folders that differ between machines and builds, each with the name that stands for it.

    Attributes:
        folders: name to absolute POSIX path, such as `{"<tree>": "/src/vllm", "<build>": "/b/v0.33.0"}`.
        aliases: other paths to some of them, each with its name, where links lead to folders.
    """

    folders: Mapping[str, str]
    aliases: tuple[tuple[str, str], ...] = ()

    def named(self, text: str) -> str:
        """`text` with each folder replaced by its name, the deepest folder first.

        A folder ends where a part of a path does: `/w` is none in `/src/w8a8`.
        """
        if "/" not in text:
            return text
        pattern, names = _finder((*self.folders.items(), *self.aliases))
        return pattern.sub(lambda match: names[match[0]], text)

    def spelt(self, text: str) -> str:
        """`text` with each name replaced by its folder."""
        for name, folder in self.folders.items():
            text = text.replace(name, folder)
        return text


@lru_cache(maxsize=64)
def _finder(known: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """What finds the folders of `known`, pairs of name and folder, and the name of each."""
    deepest = sorted((pair for pair in known if pair[1]), key=lambda pair: -len(pair[1]))
    names = {folder: name for name, folder in reversed(deepest)}
    anyone = "|".join(map(re.escape, dict.fromkeys(folder for _, folder in deepest)))
    return re.compile(rf"(?:{anyone})(?![\w.+-])" if anyone else r"(?!)"), names


def work_key(arguments: tuple[str, ...], roots: Roots, compiler: str) -> str:
    """The digest of a command; equal digests with equal inputs make equal objects.

    Args:
        arguments: the command line, without launchers.
        roots: the folders to name.
        compiler: what compiles, in words that change when its output does (versions of nvcc, host compiler).
    """
    text = "\0".join((compiler, *(roots.named(argument) for argument in arguments)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
