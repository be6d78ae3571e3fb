"""One file as the rules read it: its tokens in a row, which of them MSVC gets, what it includes and names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Final

from winvllm_build.audit.cxx.branches import Sight, sights
from winvllm_build.audit.cxx.conditions import MSVC, MSVC_CUDA, MSVC_HOST, World
from winvllm_build.audit.cxx.spaces import Space, spaces
from winvllm_build.audit.cxx.text import Logical, Token, TokenKind, logical_lines

HOST_ENDINGS: Final = (".cpp", ".cc", ".cxx", ".c")
DEVICE_ENDINGS: Final = (".cu", ".cuh")
HEADER_ENDINGS: Final = (".cuh", ".h", ".hpp", ".hxx", ".inl")
ENDINGS: Final = (*HOST_ENDINGS, ".cu", *HEADER_ENDINGS)
BREAK: Final = Token(TokenKind.SIGN, "\n", 0)
"""Stands around the body of a macro, so that no rule reads across its ends."""


@dataclass(frozen=True, slots=True)
class Include:
    """`name` is without its quotes; `system` for one in `<>`."""

    name: str
    line: int
    system: bool
    sight: Sight


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """The tokens of code and macro bodies in a row.

    Attributes:
        tokens: all of them.
        lines: which logical line each is in; -1 for a break.
        at: where each text stands.
    """

    tokens: list[Token]
    lines: list[int]
    at: Mapping[str, list[int]]

    def text(self, index: int) -> str:
        """A token's text; empty outside the row."""
        return self.tokens[index].text if 0 <= index < len(self.tokens) else ""

    def kind(self, index: int) -> TokenKind | None:
        return self.tokens[index].kind if 0 <= index < len(self.tokens) else None


def world_of(path: str) -> World:
    """The world a file is compiled in; a header is for both compilers."""
    if path.endswith(DEVICE_ENDINGS):
        return MSVC_CUDA
    return MSVC_HOST if path.endswith(HOST_ENDINGS) else MSVC


@dataclass(eq=False)
class Source:
    """A file. `includes` are resolved by the compile set; `within` is who gets the file as a whole."""

    path: str
    text: str
    within: Sight = Sight.ALL
    note: str = ""
    standard: int = 17
    definitions: frozenset[str] = frozenset()
    """Macros that CMake defines for every file on Windows."""
    headers: set[str] = field(default_factory=set)
    """Headers from outside the tree that come in with it, by their names."""
    provided: set[str] = field(default_factory=set)
    """Types and macros that its headers within the tree define where MSVC sees them."""
    reached: tuple[Source, ...] = ()
    """Its headers within the tree, and theirs."""

    @cached_property
    def lines(self) -> list[Logical]:
        return logical_lines(self.text)

    @cached_property
    def sights(self) -> list[Sight]:
        return sights(self.lines, world_of(self.path))

    @cached_property
    def physical(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def row(self) -> Row:
        tokens: list[Token] = []
        lines: list[int] = []
        at: defaultdict[str, list[int]] = defaultdict(list)
        for number, line in enumerate(self.lines):
            if line.directive == "define":
                body = [BREAK, *line.tokens[3:], BREAK]
            elif line.directive:
                continue
            else:
                body = list(line.tokens)
            for token in body:
                at[token.text].append(len(tokens))
                tokens.append(token)
                lines.append(number)
        return Row(tokens, lines, at)

    @cached_property
    def includes(self) -> tuple[Include, ...]:
        return tuple(self._included())

    def _included(self) -> Iterator[Include]:
        for line, sight in zip(self.lines, self.sights, strict=True):
            if line.directive in ("include", "include_next") and line.words:
                quoted = line.words[0].startswith('"')
                name = line.words[0].strip('"') if quoted else "".join(line.words).strip("<>")
                yield Include(name, line.line, not quoted, sight)

    @cached_property
    def spaces(self) -> Mapping[int, Mapping[str, Space | None]]:
        """Where the words of a line run, by the line's number in the file."""
        found: defaultdict[int, dict[str, Space | None]] = defaultdict(dict)
        for token, space in spaces(self.lines, self.sights, self.macro):
            found[token.line][token.text] = space
        return found

    @cached_property
    def defined(self) -> dict[str, int]:
        """Types and macros that it defines where MSVC sees them, and on which line first."""
        found: dict[str, int] = {}
        for name, line in self._definitions():
            found.setdefault(name, line)
        return found

    def macro(self, name: str) -> tuple[str, ...]:
        """The body of a macro that MSVC sees, from here or from a header within the tree; empty for none."""
        if name in self.macros:
            return self.macros[name]
        return next((one.macros[name] for one in self.reached if name in one.macros), ())

    @cached_property
    def macros(self) -> dict[str, tuple[str, ...]]:
        """The macros that it defines where MSVC sees them; the last of a name."""
        pairs = zip(self.lines, self.sights, strict=True)
        defined = (line.words for line, sight in pairs if line.directive == "define" and sight.compiled)
        return {words[0]: words[1:] for words in defined if words}

    def _definitions(self) -> Iterator[tuple[str, int]]:
        for line, sight in zip(self.lines, self.sights, strict=True):
            if line.directive == "define" and sight.compiled and line.words:
                yield line.words[0], line.line
        row = self.row
        for start in row.at.get("typedef", ()):
            if self.sights[row.lines[start]].compiled:
                end = next(
                    (i for i in range(start, min(start + 40, len(row.tokens))) if row.text(i) == ";"), 0
                )
                if end:
                    yield row.text(end - 1), row.tokens[start].line
        for start in row.at.get("using", ()):
            if self.sights[row.lines[start]].compiled and row.text(start + 2) == "=":
                yield row.text(start + 1), row.tokens[start].line

    @cached_property
    def device_only(self) -> frozenset[int]:
        """Logical lines that a condition on `__CUDA_ARCH__` keeps from the host pass."""
        world = world_of(self.path)
        host = World(world.defined, world.undefined | {"__CUDA_ARCH__"})
        pairs = zip(self.sights, sights(self.lines, host), strict=True)
        return frozenset(
            i for i, (seen, on_host) in enumerate(pairs) if seen.compiled and not on_host.compiled
        )

    def space(self, index: int) -> Space | None:
        """Where a token of the row runs; None outside functions and in macros."""
        line = self.row.lines[index]
        if line < 0 or self.lines[line].directive:
            return None
        if line in self.device_only:
            return Space.DEVICE
        token = self.row.tokens[index]
        return self.spaces.get(token.line, {}).get(token.text)

    def sight(self, index: int) -> Sight:
        """Who gets a token of the row."""
        return self.sights[self.row.lines[index]]

    def has(self, patterns: Sequence[str]) -> bool:
        """Whether a header from outside that fits one of the patterns comes in."""
        return any(fnmatchcase(name, pattern) for pattern in patterns for name in self.headers)

    def names(self, word: str, line: int) -> bool:
        """Whether a type or macro of this name is defined before `line`, here or in what is included."""
        return word in self.provided or self.defined.get(word, line + 1) <= line
