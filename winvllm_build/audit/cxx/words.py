"""Rules that are lists of words: names that MSVC does not know, or that mean something else to it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

from winvllm_build.audit.cxx.branches import Sight
from winvllm_build.audit.cxx.place import Place, at
from winvllm_build.audit.cxx.source import Source
from winvllm_build.audit.cxx.spaces import Space
from winvllm_build.audit.cxx.text import TokenKind

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parent.with_name("data") / "cxx" / "names.toml"
MEMBER: Final = frozenset({".", "->"})
BEFORE_TYPE: Final = frozenset(
    {"const", "volatile", "static", "constexpr", "consteval", "inline", "typename", "return", "new", "extern",
     "register", "mutable", "case", "else", "__shared__", "__device__", "__host__", "__constant__",
     "__global__", "__restrict__", "operator", "typedef", "public", "private", "protected"}
)  # fmt: skip
"""Words that can stand before a type; behind any other a word is the name of what is declared."""
BEFORE_CALL: Final = frozenset({"return", "else", "do", "case", "throw", "co_return", "and", "or", "not"})
NEVER: Final = 1000
"""A standard that never comes: the words stay a hazard."""
MISSING: Final = "D55"
POSIX: Final = "D24"


class Where(Enum):
    """Where a word of a list counts; the file of the lists says what each means."""

    ANY = "any"
    VALUE = "value"
    TYPE = "type"
    CALL = "call"
    STD = "std"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One list."""

    rule: str
    hazard: str
    where: Where
    space: str
    names: frozenset[str]
    prefixes: tuple[str, ...]
    excepted: frozenset[str]
    unless: tuple[str, ...]
    needs: tuple[str, ...]
    defined: tuple[str, ...]
    endings: tuple[str, ...]
    below: int

    @classmethod
    def of(cls, entry: dict[str, Any]) -> Words:
        return cls(
            rule=entry["rule"], hazard=entry["hazard"], where=Where(entry["place"]),
            space=entry.get("space", "any"), names=frozenset(entry.get("names", ())),
            prefixes=tuple(entry.get("prefixes", ())), excepted=frozenset(entry.get("except", ())),
            unless=tuple(entry.get("unless", ())), needs=tuple(entry.get("needs", ())),
            defined=tuple(entry.get("defined", ())),
            endings=tuple(entry.get("endings", ())), below=entry.get("below", NEVER),
        )  # fmt: skip

    def applies(self, source: Source) -> bool:
        """Whether the list is for this file and the headers it has."""
        fits = source.standard < self.below and (not self.endings or source.path.endswith(self.endings))
        needed = not self.needs or source.has(self.needs)
        met = any(name in source.macros or name in source.provided for name in self.defined)
        return fits and needed and not met and not (self.unless and source.has(self.unless))

    def present(self, known: Collection[str]) -> list[str]:
        """Those of the texts of a file that the list has."""
        if self.prefixes:
            return [one for one in known if one.startswith(self.prefixes) and one not in self.excepted]
        return [one for one in self.names if one in known]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Names that need one of `headers`, or one of `given`, which bring those."""

    names: frozenset[str]
    headers: tuple[str, ...]
    given: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All lists of the file."""

    words: tuple[Words, ...]
    posix: tuple[str, ...]
    on_windows: tuple[str, ...]
    needed: tuple[Needed, ...]


@cache
def tables() -> Tables:
    """The lists, read once."""
    read = tomllib.loads(FILE.read_text("utf-8"))
    return Tables(
        words=tuple(Words.of(entry) for entry in read["word"]),
        posix=tuple(read["posix-headers"]["names"]), on_windows=tuple(read["posix-headers"]["except"]),
        needed=tuple(
            Needed(names=frozenset(one["names"]), headers=tuple(one["headers"]), given=tuple(one["given"]))
            for one in read["needs-header"]
        ),
    )  # fmt: skip


def words(source: Source) -> Iterator[Place]:
    """Every word of the lists that stands where it counts."""
    for one in tables().words:
        present = one.present(source.row.at)
        if present and one.applies(source):
            for name in present:
                for index in source.row.at[name]:
                    if _counts(source, index, one):
                        found = at(source, index, one.hazard, one.rule, name)
                        by_cmake = found.sight is Sight.ALL and not source.definitions.isdisjoint(one.defined)
                        yield replace(found, sight=Sight.OTHERS) if by_cmake else found


def headers(source: Source) -> Iterator[Place]:
    """Headers that only POSIX systems have."""
    known = tables()
    for include in source.includes:
        posix = any(fnmatchcase(include.name, pattern) for pattern in known.posix)
        if include.system and posix and include.name not in known.on_windows:
            yield Place(POSIX, "posix-header", include.line, include.sight, include.name)


def missing(source: Source) -> Iterator[Place]:
    """Names whose header is not included; the first of each list in a file."""
    for one in tables().needed:
        present = [index for name in one.names for index in source.row.at.get(name, ())]
        first = next((index for index in sorted(present) if source.sight(index).compiled), None)
        if first is not None and not source.has((*one.headers, *one.given)):
            text = f"{source.row.text(first)} without <{one.headers[0]}>"
            yield at(source, first, MISSING, "needs-header", text)


def _counts(source: Source, index: int, one: Words) -> bool:
    row = source.row
    quoted = row.text(index).startswith('"')
    if row.kind(index) is not (TokenKind.STRING if quoted else TokenKind.WORD) or source.names(
        row.text(index), row.tokens[index].line
    ):
        return False
    if not _stands(source, index, one.where):
        return False
    if one.space == "any":
        return True
    space = source.space(index)
    return space in (Space.DEVICE, Space.BOTH) if one.space == "device" else space is not Space.DEVICE


def _stands(source: Source, index: int, where: Where) -> bool:
    row = source.row
    before, after = row.text(index - 1), row.text(index + 1)
    qualified = before == "::" and row.kind(index - 2) is TokenKind.WORD
    match where:
        case Where.ANY:
            return True
        case Where.VALUE:
            return before not in ("::", "#", "##", *MEMBER)
        case Where.STD:
            return qualified and row.text(index - 2) == "std" and row.text(index - 3) != "::"
        case Where.CALL:
            named = row.kind(index - 1) is TokenKind.WORD and before not in BEFORE_CALL
            elsewhere = qualified and row.text(index - 2) != "std"
            return after == "(" and before not in MEMBER and not named and not elsewhere
        case Where.TYPE:
            named = row.kind(index - 1) is TokenKind.WORD and before not in BEFORE_TYPE
            elsewhere = before in MEMBER or (qualified and row.text(index - 2) != "std")
            return not elsewhere and not named and _is_type(before, after, row.kind(index + 1))


def _is_type(before: str, after: str, kind: TokenKind | None) -> bool:
    """Whether what follows a word makes it a type: a name, a pointer, the end of a cast or of an argument."""
    if kind is TokenKind.WORD or after in ("*", "&", "&&", ">", ">>", "(", "..."):
        return True
    return after in (",", ")", ";", "{") and before in ("(", ",", "<", "=", "typename", "const")
