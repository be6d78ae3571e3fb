"""The functions, tables and blocks of a file, found by the looks of its lines: what a line belongs to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from winvllm_build.git import RepoPath

CALLED: Final = re.compile(rb"([A-Za-z_]\w*)[ \t]*\(")
TYPE: Final = re.compile(
    rb"(?:class|struct|union|enum(?:[ \t]+class)?)[ \t]+(?:[A-Z_]+\([^)]*\)[ \t]*)?(\w+)"
)
NOT_FUNCTIONS: Final = frozenset(
    (b"__launch_bounds__", b"__attribute__", b"__declspec", b"alignas", b"decltype", b"noexcept", b"requires")
)
NOT_TABLES: Final = frozenset(
    b"import from if elif else try except finally with for while assert return raise del global async".split()
)
OUTERMOST: Final = -1
"""Less than any indentation: the heading of a section owns lines that are not indented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A line that what follows can belong to; without a name it only ends what was before."""

    line: int
    indent: int
    name: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How the heads of a file look: `lines` finds them, `head` reads indentation and name."""

    lines: re.Pattern[bytes]
    head: Callable[[re.Match[bytes]], tuple[int, bytes | None]]


def _python(found: re.Match[bytes]) -> tuple[int, bytes | None]:
    if found["name"] is not None:
        return width(found["indent"]), found["name"]
    return 0, None if found["word"] in NOT_TABLES else found["word"]


def _c(found: re.Match[bytes]) -> tuple[int, bytes | None]:
    if found["macro"] is not None:
        return 0, found["macro"]
    kind = TYPE.match(found["text"])
    if kind is not None:
        return 0, kind[1]
    return 0, next((name for name in CALLED.findall(found["text"]) if name not in NOT_FUNCTIONS), None)


def _indented(found: re.Match[bytes]) -> tuple[int, bytes | None]:
    return width(found["indent"]), b" ".join(found["name"].split())


def _section(found: re.Match[bytes]) -> tuple[int, bytes | None]:
    return OUTERMOST, found["name"]


PYTHON: Final = Language(
    lines=re.compile(
        rb"^(?:(?P<indent>[ \t]*)(?:async[ \t]+def|def|class)[ \t]+(?P<name>\w+)|(?P<word>\w+))", re.MULTILINE
    ),
    head=_python,
)
C: Final = Language(
    lines=re.compile(
        rb"^(?:#[ \t]*define[ \t]+(?P<macro>\w+)[^\n]*\\$"
        rb"|(?!template\b|using\b|typedef\b|namespace\b|public:|private:|protected:)(?P<text>[A-Za-z_][^\n]*))",
        re.MULTILINE,
    ),
    head=_c,
)
CMAKE: Final = Language(
    lines=re.compile(rb"^(?P<indent>[ \t]*)(?!end|else)(?P<name>\w+[ \t]*\([^\n#]*)", re.MULTILINE),
    head=_indented,
)
RUST: Final = Language(
    lines=re.compile(
        rb"^(?P<indent>[ \t]*)(?:pub(?:\([^)\n]*\))?[ \t]+)?(?:async[ \t]+|unsafe[ \t]+|const[ \t]+)*"
        rb"(?P<name>(?:fn|struct|enum|impl|mod|trait)\b[^\n({]*)",
        re.MULTILINE,
    ),
    head=_indented,
)
SECTIONS: Final = Language(lines=re.compile(rb"^\[+(?P<name>[^\]\n]+)\]", re.MULTILINE), head=_section)
LANGUAGES: Final = {
    ".py": PYTHON, ".pyi": PYTHON, ".cmake": CMAKE, ".rs": RUST, ".toml": SECTIONS, ".cfg": SECTIONS,
    ".ini": SECTIONS,
    **dict.fromkeys((".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".inc"), C),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A file and its heads, in their order."""

    content: bytes
    heads: tuple[Head, ...]

    @classmethod
    def of(cls, content: bytes, language: Language) -> Outline:
        return cls(content=content, heads=tuple(_heads(content, language)))

    @property
    def names(self) -> set[bytes]:
        return {head.name for head in self.heads if head.name is not None}

    def places(self, at: int, line: bytes) -> tuple[bytes, ...]:
        """What `line` belongs to where it stands before line `at`, from the outside to the inside."""
        limit = width(line)
        found: list[bytes] = []
        for head in reversed(self.heads):
            if head.line < at and head.indent < limit:
                limit = head.indent
                found += [head.name] if head.name is not None else []
                if limit <= 0:
                    break
        return tuple(reversed(found))

    def body(self, name: bytes) -> list[bytes]:
        """The lines behind every head of that name, without white space around them."""
        lines = self.content.split(b"\n")
        parts = [lines[head.line : self._end(head)] for head in self.heads if head.name == name]
        return [line.strip() for part in parts for line in part if line.strip()]

    def _end(self, head: Head) -> int | None:
        """The last line that belongs to `head`; None for the last of the file."""
        later = (one for one in self.heads if one.line > head.line and one.indent <= head.indent)
        return next((one.line - 1 for one in later), None)


def language_of(path: RepoPath) -> Language | None:
    """None for files whose lines belong to nothing, or that are not known here."""
    pure = PurePosixPath(path)
    return CMAKE if pure.name == "CMakeLists.txt" else LANGUAGES.get(pure.suffix)


def width(line: bytes) -> int:
    """The columns of white space that `line` begins with."""
    return len(line[: len(line) - len(line.lstrip(b" \t"))].expandtabs(8))


def _heads(content: bytes, language: Language) -> Iterator[Head]:
    line, at = 1, 0
    for found in language.lines.finditer(content):
        line += content.count(b"\n", at, found.start())
        at = found.start()
        indent, name = language.head(found)
        yield Head(line=line, indent=indent, name=name)
