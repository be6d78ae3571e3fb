"""What of a tag is compiled for CUDA: the sources CMake names, and what they include within the tree."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from winvllm_build.audit.cxx.branches import Sight
from winvllm_build.audit.cxx.generators import GENERATED
from winvllm_build.audit.cxx.source import ENDINGS, HEADER_ENDINGS, Source
from winvllm_build.audit.files import Files
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_run import CUDA_BUILD, TOP, Run, Visit
from winvllm_build.intake.cmake_targets import TargetReader

WINDOWS_BUILD: Final = {**CUDA_BUILD, "WIN32": "TRUE", "MSVC": "TRUE", "UNIX": "FALSE"}
LINUX_BUILD: Final = {**CUDA_BUILD, "WIN32": "FALSE", "MSVC": "FALSE", "UNIX": "TRUE"}
OLDEST: Final = 17
"""CUDA code follows the standard of C++ code, which no tag sets lower."""
DEFINITION: Final = re.compile(r"(?:[-/]D)?(_USE_MATH_DEFINES|NOMINMAX|WIN32_LEAN_AND_MEAN)(?:=.*)?")
"""The definitions that rules ask for."""
FOLDERS: Final = ("csrc", "csrc/libtorch_stable", "")
"""Where vLLM's sources are included from, besides the folder of the file that includes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileSet:
    """The files of a CUDA build.

    Attributes:
        sources: what CMake names, and who compiles it.
        patterns: files that configuring has to generate first.
        outside: sources that lie in dependencies.
        standard: of CUDA code: 17 for C++17.
        definitions: macros that are defined for Windows.
    """

    sources: Mapping[str, Sight]
    patterns: Mapping[str, Sight]
    outside: tuple[str, ...]
    standard: int
    definitions: frozenset[str]

    def sight_of(self, path: str) -> Sight:
        """Who compiles a generated file."""
        found = {sight for pattern, sight in self.patterns.items() if fnmatchcase(path, pattern)}
        return found.pop() if len(found) == 1 else Sight.ALL


def compile_set(checkout: Checkout) -> CompileSet:
    """Read CMake's files twice, as Windows and as Linux: what only one of them compiles is guarded.

    Raises:
        SourceError: CMake's files are missing or not CMake.
    """
    here, there = _read_cmake(checkout, WINDOWS_BUILD), _read_cmake(checkout, LINUX_BUILD)
    windows, linux = here.sources, there.sources
    sights = {
        path: Sight.WINDOWS if path not in linux else Sight.ALL if path in windows else Sight.OTHERS
        for path in {**windows, **linux}
    }
    return CompileSet(
        sources={path: sight for path, sight in sights.items() if path in checkout.entries},
        patterns={path: sight for path, sight in sights.items() if "*" in path and not path.startswith("$")},
        outside=tuple(path for path in sights if path.startswith("$")), standard=here.standard,
        definitions=frozenset(here.definitions),
    )  # fmt: skip


@dataclass(slots=True)
class _Build:
    """What CMake's files say for one system."""

    sources: Mapping[str, None] = field(default_factory=dict)
    standard: int = OLDEST
    definitions: set[str] = field(default_factory=set)

    def take(self, visit: Visit) -> None:
        words = visit.command.words
        if visit.command.name == "set" and words[:1] == ("CMAKE_CUDA_STANDARD",) and words[1:]:
            self.standard = int(words[1]) if words[1].isdecimal() else self.standard
        for word in words if not visit.command.name.startswith("target_") else ():
            match = DEFINITION.fullmatch(word)
            if match is not None:
                self.definitions.add(match[1])


def _read_cmake(checkout: Checkout, known: Mapping[str, str]) -> _Build:
    run = Run(checkout, known)
    reader = TargetReader(run, checkout)
    build = _Build()
    checkout.fetch([TOP, *(path for path in checkout.below("cmake") if path.endswith(".cmake"))])
    for visit in run.visits():
        reader.take(visit)
        if visit.live:
            build.take(visit)
    paths = (file.path for target in reader.targets() for file in target.sources)
    build.sources = dict.fromkeys(path for path in paths if path.endswith(ENDINGS))
    return build


def read(
    files: Files, roots: Mapping[str, Sight], known: Mapping[str, Source] | None = None
) -> dict[str, Source]:
    """`roots` and every file of the tree that they include where MSVC sees it, each once.

    A file that is reached in several ways is got by whoever gets one of them.

    Args:
        files: the tree.
        roots: what to begin with, and who compiles it.
        known: sources of the same tree that were read before; they are told anew what they include.
    """
    found: dict[str, Source] = {}
    waiting = dict(roots)
    while waiting:
        files.fetch(path for path in waiting if path not in found)
        reached: dict[str, Sight] = {}
        for path, sight in waiting.items():
            source = found.get(path)
            if source is None:
                source = _source(files, path, known or {})
                if source is None:
                    continue
                source.within = sight
                found[path] = source
            elif source.within is Sight.ALL or source.within is sight:
                continue
            else:
                source.within = Sight.ALL
            for target, seen in _inside(source, files):
                wanted = _narrower(source.within, seen)
                if wanted is not Sight.NOBODY:
                    reached[target] = wanted if reached.get(target, wanted) is wanted else Sight.ALL
        waiting = reached
    _link(found, files)
    return found


def _source(files: Files, path: str, known: Mapping[str, Source]) -> Source | None:
    if path in known:
        return known[path]
    text = files.text(path)
    return None if text is None else Source(path, text)


def _inside(source: Source, files: Files) -> list[tuple[str, Sight]]:
    """The files of the tree that a file includes, and who includes them."""
    found = []
    for include in source.includes:
        path = resolve(source.path, include.name, files)
        if path is not None:
            found.append((path, include.sight))
    return found


def resolve(path: str, name: str, files: Files) -> str | None:
    """The file of the tree that `#include` names in `path`; None for one from elsewhere."""
    here = posixpath.dirname(path)
    for folder in (here, here.removeprefix(f"{GENERATED}/"), *FOLDERS):
        made = posixpath.normpath(posixpath.join(folder, name))
        for place in (made, f"{GENERATED}/{made}"):
            if place in files:
                return place
    return None


def _narrower(one: Sight, other: Sight) -> Sight:
    """Who gets what stands in a part of a part."""
    if Sight.NOBODY in (one, other) or {one, other} == {Sight.WINDOWS, Sight.OTHERS}:
        return Sight.NOBODY
    return other if one is Sight.ALL else one


def _link(sources: Mapping[str, Source], files: Files) -> None:
    """Tell every file what comes in with its headers; a header also what all that include it have."""
    direct = {
        path: [target for target, sight in _inside(source, files) if sight.compiled and target in sources]
        for path, source in sources.items()
    }
    context: dict[str, tuple[set[str], set[str]]] = {}
    for path, source in sources.items():
        reached = _closure(path, direct)
        source.headers = {name for one in reached for name in _foreign(sources[one], files)}
        source.provided = {name for one in reached - {path} for name in sources[one].defined}
        source.reached = tuple(sources[one] for one in sorted(reached - {path}))
        if not path.endswith(HEADER_ENDINGS):
            for one in reached - {path}:
                headers, names = context.get(one, (source.headers, source.provided))
                context[one] = (headers & source.headers, names & (source.provided | source.defined.keys()))
    for path, (headers, names) in context.items():
        sources[path].headers |= headers
        sources[path].provided |= names - sources[path].defined.keys()


def _closure(path: str, direct: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [path]
    while waiting:
        here = waiting.pop()
        if here not in found:
            found.add(here)
            waiting += direct[here]
    return found


def _foreign(source: Source, files: Files) -> set[str]:
    """The headers from outside the tree that a file names itself."""
    return {
        include.name
        for include in source.includes
        if include.sight.compiled and resolve(source.path, include.name, files) is None
    }
