"""The extension targets that CMake files define: their sources, and the conditions those stand under."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_run import Run, Visit, relative
from winvllm_build.intake.cmake_text import Argument, Quoting
from winvllm_build.intake.cmake_values import Condition, Conditions, Item

OPTIONS: Final = frozenset(
    {"DESTINATION", "LANGUAGE", "SOURCES", "COMPILE_FLAGS", "ARCHITECTURES", "LIBRARIES",
     "INCLUDE_DIRECTORIES", "USE_SABI", "WITH_SOABI", "COMPONENT", "CODE", "FILES", "DIRECTORY", "PATTERN",
     "FILES_MATCHING", "RENAME", "ALL_COMPONENTS", "TARGETS", "LIBRARY", "DEPENDS", "EXCLUDE"}
)  # fmt: skip
SCOPES: Final = frozenset({"PRIVATE", "PUBLIC", "INTERFACE", "BEFORE", "AFTER", "SYSTEM"})
KINDS: Final = frozenset(
    {"MODULE", "SHARED", "STATIC", "OBJECT", "USE_SABI", "WITH_SOABI", "EXCLUDE_FROM_ALL"}
)


class Kind(Enum):
    """What a target makes."""

    EXTENSION = "extension"
    CUSTOM = "custom"
    """A target with no sources of its own: Python files are installed, or another build is run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file, or a pattern for files that configuring generates.

    `path` is relative to vLLM's top; `${name_SOURCE_DIR}/...` is in a dependency.
    """

    path: str
    conditions: Conditions = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target.

    Attributes:
        name: its name in CMake.
        kind: what it makes.
        file: which CMake file defines it.
        line: where.
        conditions: what has to hold for it to be defined so.
        sources: what is compiled for it.
        includes: its include folders, and the other texts of its definition.
    """

    name: str
    kind: Kind
    file: str
    line: int
    conditions: Conditions
    sources: tuple[SourceFile, ...]
    includes: tuple[Item, ...]


@dataclass(slots=True)
class _Open:
    """A target while the files are read."""

    kind: Kind
    file: str
    line: int
    conditions: Conditions
    sources: list[SourceFile] = field(default_factory=list)
    includes: list[Item] = field(default_factory=list)


class TargetReader:
    """Collects the targets from the visits of one run."""

    def __init__(self, run: Run, checkout: Checkout) -> None:
        self._run = run
        self._checkout = checkout
        self._open: dict[str, _Open] = {}

    def take(self, visit: Visit) -> None:
        command = visit.command
        if not visit.live or not command.arguments:
            return
        match command.name:
            case name if name.endswith("extension_target"):
                self._extension(visit)
            case "python_add_library" | "pybind11_add_module" | "add_library":
                self._library(visit)
            case "add_custom_target":
                self._define(visit, Kind.CUSTOM)
            case "target_sources":
                self._extend(visit, sources=True)
            case "target_include_directories":
                self._extend(visit, sources=False)
            case _:
                pass

    def targets(self) -> tuple[Target, ...]:
        return tuple(
            Target(
                name=name, kind=made.kind, file=made.file, line=made.line, conditions=made.conditions,
                sources=_once(made.sources), includes=tuple(made.includes),
            )
            for name, made in self._open.items()
        )  # fmt: skip

    def _extension(self, visit: Visit) -> None:
        made = self._define(visit, Kind.EXTENSION)
        given = options(visit.command.arguments[1:])
        made.sources += self._files(given.get("SOURCES", []), visit)
        made.includes += self._run.variables.elements(given.get("INCLUDE_DIRECTORIES", []), visit.conditions)

    def _library(self, visit: Visit) -> None:
        if "ALIAS" in visit.command.words or "IMPORTED" in visit.command.words:
            return
        made = self._define(visit, Kind.EXTENSION)
        rest = [argument for argument in visit.command.arguments[1:] if argument.text not in KINDS]
        made.sources += self._files(rest, visit)

    def _define(self, visit: Visit, kind: Kind) -> _Open:
        """The target; an extension replaces the empty stand-in of another branch, never the other way."""
        name = self._name(visit)
        before = self._open.get(name)
        if before is not None and (before.kind is kind or kind is Kind.CUSTOM):
            return before
        made = _Open(kind=kind, file=visit.file, line=visit.command.line, conditions=visit.conditions)
        self._open[name] = made
        return made

    def _extend(self, visit: Visit, *, sources: bool) -> None:
        made = self._open.get(self._name(visit))
        if made is None:
            return
        rest = [argument for argument in visit.command.arguments[1:] if argument.text not in SCOPES]
        if sources:
            made.sources += self._files(rest, visit)
        else:
            made.includes += self._run.variables.elements(rest, visit.conditions)

    def _name(self, visit: Visit) -> str:
        first = visit.command.arguments[0]
        return next(iter(self._run.variables.texts(first, visit.conditions)), first.text)

    def _files(self, arguments: Iterable[Argument], visit: Visit) -> Iterator[SourceFile]:
        folder = visit.file.rpartition("/")[0]
        for item in self._run.variables.elements(arguments, visit.conditions):
            path = relative(item.text, folder)
            for found in self._globbed(path):
                yield SourceFile(path=found, conditions=item.conditions)

    def _globbed(self, path: str) -> list[str]:
        """The files of a pattern; the pattern itself where configuring has to make them first."""
        if "*" not in path or path.startswith("$"):
            return [path]
        pattern = re.compile(re.escape(path).replace(r"\*", "[^/]*"))
        return [file for file in self._checkout.entries if pattern.fullmatch(file)] or [path]


def options(arguments: Iterable[Argument], known: frozenset[str] = OPTIONS) -> Mapping[str, list[Argument]]:
    """The arguments behind each keyword; those before the first are behind the empty one."""
    found: dict[str, list[Argument]] = {"": []}
    keyword = ""
    for argument in arguments:
        if argument.quoting is Quoting.UNQUOTED and argument.text in known:
            keyword = argument.text
            found.setdefault(keyword, [])
        else:
            found[keyword].append(argument)
    return found


def archs_of(conditions: Conditions) -> tuple[str, ...]:
    """The CUDA architectures that conditions ask for; empty where they ask for none."""
    asked = [condition.archs for condition in conditions if condition.holds and condition.archs]
    return asked[-1] if asked else ()


def told(conditions: Iterable[Condition]) -> tuple[str, ...]:
    """Conditions in words; where one branch of an `if` is named, the others behind it go without saying."""
    every = tuple(conditions)
    named = [condition for condition in every if condition.holds]
    return tuple(str(condition) for condition in named or every)


def _once(files: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    """Each path once, with the fewest conditions it is named under."""
    found: dict[str, SourceFile] = {}
    for file in files:
        before = found.get(file.path)
        if before is None or len(file.conditions) < len(before.conditions):
            found[file.path] = file
    return tuple(found.values())
