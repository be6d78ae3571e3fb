"""Which translation units prove which patched file: the file itself, or one that makes use of a header."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from winvllm_build.audit.device.closure import Includes
from winvllm_build.audit.device.recipe import Recipe
from winvllm_build.audit.device.stage import Content
from winvllm_build.git import RepoPath

SUFFIXES: Final = (".cu", ".cuh", ".cpp", ".cc", ".c", ".hpp", ".h", ".inl")
DEFINED: Final = re.compile(
    r"#[ \t]*define[ \t]+(?P<macro>\w+)|\btypedef\b.*?(?P<alias>\w+);"
    r"|\b(?:struct|class|using)\s+(?:\w+_API\s+)?(?P<type>\w+)"
    r"|\b(?P<function>[A-Za-z_]\w*)\s*(?:<[^<>;]*>)?\s*\("
)
WORD: Final = re.compile(rb"[A-Za-z_]\w*")
NO_NAMES: Final = frozenset(
    {"if", "for", "while", "switch", "return", "sizeof", "alignas", "decltype", "defined", "asm",
     "static_assert", "__asm__", "volatile", "__volatile__", "__attribute__", "__launch_bounds__", "operator",
     "noexcept"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A unit and the patched files that go into it."""

    recipe: Recipe
    files: frozenset[RepoPath]
    closure: frozenset[RepoPath]


def compiled(path: str) -> bool:
    """Whether a compiler reads such a file."""
    return path.endswith(SUFFIXES)


class Chooser:
    """Chooses among the units of one configured build.

    Args:
        recipes: the units.
        includes: reads what they include.
        contents: both sides of the patched files.
    """

    def __init__(
        self, recipes: Collection[Recipe], includes: Includes, contents: Mapping[RepoPath, Content]
    ) -> None:
        self._contents = contents
        self._includes = includes
        self._vocabulary: dict[RepoPath, frozenset[bytes]] = {}
        self._closures = {recipe: includes.of(recipe.source) for recipe in recipes}
        self._having = {
            path: [recipe for recipe, closure in self._closures.items() if path in closure]
            for path in contents
        }

    def units(self, *, every: bool = False, named: Collection[str] = ()) -> tuple[Chosen, ...]:
        """Each patched source; for each header a unit that makes use of it, one that is taken anyway if any.

        Args:
            every: all units that have a patched file in them.
            named: units to take besides.
        """
        having = {recipe for recipes in self._having.values() for recipe in recipes}
        if every:
            return tuple(self._chosen(recipe) for recipe in sorted(having, key=lambda one: one.key))
        taken = {recipe for recipe in having if recipe.source in self._contents or recipe.source in named}
        for path in sorted(self._contents):
            candidates = self._having[path]
            if candidates and path not in {recipe.source for recipe in candidates}:
                taken.add(max(candidates, key=lambda recipe: self._fitness(recipe, path, taken)))
        return tuple(self._chosen(recipe) for recipe in sorted(taken, key=lambda one: one.key))

    def uncovered(self) -> tuple[RepoPath, ...]:
        """Patched files that no unit of this build has."""
        return tuple(sorted(path for path, recipes in self._having.items() if not recipes))

    def _chosen(self, recipe: Recipe) -> Chosen:
        closure = self._closures[recipe]
        return Chosen(recipe=recipe, files=frozenset(closure & self._contents.keys()), closure=closure)

    def _fitness(
        self, recipe: Recipe, path: RepoPath, taken: Collection[Recipe]
    ) -> tuple[bool, bool, bool, int, str]:
        """More is better: it makes use of what changed, is compiled anyway, and is small."""
        names = changed_names(self._contents[path])
        own = self._names_one(recipe.source, names)
        near = own or any(self._names_one(file, names) for file in self._closures[recipe] - {path})
        return near, recipe in taken, own, -len(self._closures[recipe]), recipe.source

    def _names_one(self, file: RepoPath, names: frozenset[str]) -> bool:
        return any(name.encode() in self._words(file) for name in names)

    def _words(self, file: RepoPath) -> frozenset[bytes]:
        if file not in self._vocabulary:
            self._vocabulary[file] = frozenset(WORD.findall(b"\n".join(self._includes.texts(file))))
        return self._vocabulary[file]


def changed_names(content: Content) -> frozenset[str]:
    """What a patch changes, by name: functions, types and macros of the changed lines and around them."""
    before = (content.before or b"").decode("utf-8", "replace").splitlines()
    after = (content.after or b"").decode("utf-8", "replace").splitlines()
    found: set[str] = set()
    for kind, _, _, begin, end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            more = end + 1 if after[begin:end] and after[end - 1].startswith("template") else end
            found.update(_names(after[begin:more]))
            found.update(_enclosing(after, begin))
    return frozenset(found - NO_NAMES)


def _names(lines: Collection[str]) -> Iterator[str]:
    for line in lines:
        for match in DEFINED.finditer(line):
            yield match["macro"] or match["alias"] or match["type"] or match["function"]


def _enclosing(lines: list[str], at: int) -> Iterator[str]:
    """The nearest definition above that is indented less."""
    level = len(lines[at]) - len(lines[at].lstrip()) if at < len(lines) else 0
    for line in reversed(lines[:at]):
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent < level:
            level = indent
            yield from _names([line])
        if level == 0 and line[:1] not in (" ", "}", "#", "", "/"):
            yield from _names([line])
            return
