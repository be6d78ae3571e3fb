"""Translation units: what CMake's compilation database says of each, told for Windows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

INCLUDE_OPTIONS: Final = ("-I", "/I", "-isystem", "-external:I")
DEFINITIONS: Final = re.compile(r'INTERFACE_COMPILE_DEFINITIONS "([^"$\\]*)"')
STANDARD: Final = re.compile(r"[-/]std[=:]")
ARCH: Final = re.compile(r"arch=compute_(\d+\w*)")


class Language(Enum):
    """How a unit is compiled."""

    CUDA = "cuda"
    CXX = "c++"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One source file in one target.

    Attributes:
        path: relative to the tree; that of a dependency begins with its name.
        target: CMake's target.
        definitions: `NAME` or `NAME=VALUE`.
        includes: folders, in the order they are searched.
        standard: like `c++17`.
        relaxed_constexpr: `--expt-relaxed-constexpr`.
        extended_lambda: `--expt-extended-lambda`.
        suppressed: the front end's own options that silence diagnostics.
        archs: like `86`; only of CUDA.
        generated: a generator of the tree wrote the file.
        dependency: the project it belongs to; empty is the tree itself.
    """

    path: str
    target: str
    language: Language
    definitions: tuple[str, ...]
    includes: tuple[Path, ...]
    standard: str
    relaxed_constexpr: bool = False
    extended_lambda: bool = False
    suppressed: tuple[str, ...] = ()
    archs: tuple[str, ...] = ()
    generated: bool = False
    dependency: str = ""

    @property
    def name(self) -> str:
        """The path, with the target where two have the file."""
        return f"{self.path} ({self.target})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What a Linux configure named, and what Windows has for it.

    Attributes:
        folders: a folder, and the one that is searched in its place.
        dropped: definitions that torch's targets carry on Linux alone.
        defined: definitions that the tree itself has on Windows alone.
    """

    folders: Mapping[Path, Path]
    dropped: frozenset[str]
    defined: tuple[str, ...] = ()

    def include(self, folder: Path) -> Path:
        """The folder for Windows: the longest prefix decides."""
        for known in sorted(self.folders, key=lambda one: len(one.parts), reverse=True):
            if folder == known or known in folder.parents:
                return self.folders[known] / folder.relative_to(known)
        return folder


def read(
    commands: Iterable[Mapping[str, str]],
    *,
    tree: Path,
    generated: frozenset[str],
    swap: Replacement,
    dependencies: Mapping[str, Path] | None = None,
    split: Callable[[str], list[str]] = shlex.split,
) -> tuple[Unit, ...]:
    """Every unit of the tree itself, and after them those of the dependencies.

    Args:
        commands: the compilation database.
        tree: the configured source.
        generated: paths that a generator wrote.
        swap: what Windows has in the place of Linux' folders.
        dependencies: folder of each by name; the name stands before the path of its units.
        split: takes a command line apart.
    """
    roots = [(tree, ""), *((folder, f"{name}/") for name, folder in (dependencies or {}).items())]
    found = [
        (start, _unit(path, _target(entry), split(entry["command"]), generated=path in generated, swap=swap))
        for entry in commands
        for start, path in _named(Path(entry["file"]), roots)
    ]
    own = [unit for start, unit in found if not start]
    return (*own, *(replace(unit, dependency=start[:-1]) for start, unit in found if start))


def _named(file: Path, roots: Sequence[tuple[Path, str]]) -> Iterator[tuple[str, str]]:
    for root, start in roots:
        if file.is_relative_to(root):
            yield start, start + file.relative_to(root).as_posix()
            return


def representatives(units: Sequence[Unit]) -> tuple[Unit, ...]:
    """All but the repetitions: of the files that one generator wrote into one folder, the first."""
    seen: set[str] = set()
    kept = []
    for unit in units:
        folder = unit.path.rpartition("/")[0]
        if unit.generated and folder in seen:
            continue
        if unit.generated:
            seen.add(folder)
        kept.append(unit)
    return tuple(kept)


def only_on_linux(linux: str, windows: str) -> frozenset[str]:
    """The definitions that torch's CMake targets carry on Linux and not on Windows.

    Args:
        linux: the text of `Caffe2Targets.cmake` of the Linux wheel.
        windows: that of the Windows wheel.
    """
    return frozenset(_carried(linux)) - frozenset(_carried(windows))


def _carried(text: str) -> Iterator[str]:
    for match in DEFINITIONS.finditer(text):
        yield from (name for name in match[1].split(";") if name)


def _target(entry: Mapping[str, str]) -> str:
    match = re.search(r"CMakeFiles/([^/]+)\.dir/", entry.get("output", "") or entry["command"])
    return match[1] if match else "unknown"


def _unit(path: str, target: str, words: Sequence[str], *, generated: bool, swap: Replacement) -> Unit:
    cuda = path.endswith(".cu")
    definitions = [word[2:] for word in words if word.startswith(("-D", "/D"))]
    kept = [name for name in definitions if name.partition("=")[0] not in swap.dropped]
    known = {name.partition("=")[0] for name in kept}
    return Unit(
        path=path,
        target=target,
        language=Language.CUDA if cuda else Language.CXX,
        definitions=(*kept, *(name for name in swap.defined if name.partition("=")[0] not in known)),
        includes=tuple(dict.fromkeys(swap.include(folder) for folder in _includes(words))),
        standard=next((w[5:].replace("gnu", "c") for w in words if STANDARD.match(w)), "c++17"),
        relaxed_constexpr="--expt-relaxed-constexpr" in words,
        extended_lambda="--expt-extended-lambda" in words,
        suppressed=tuple(_suppressed(words)),
        archs=tuple(dict.fromkeys(ARCH.findall(" ".join(words)))) if cuda else (),
        generated=generated,
    )


def _includes(words: Sequence[str]) -> Iterator[Path]:
    """`-I` before `-isystem`, as compilers search them."""
    for option in INCLUDE_OPTIONS:
        for at, word in enumerate(words):
            if word == option and at + 1 < len(words):
                yield Path(words[at + 1])
            elif word.startswith(option) and word != option:
                yield Path(word[len(option) :])


def _suppressed(words: Sequence[str]) -> Iterator[str]:
    for at, word in enumerate(words[:-1]):
        if word == "-Xcudafe":
            yield from (part for part in words[at + 1].split(",") if part.startswith("--diag_suppress="))
