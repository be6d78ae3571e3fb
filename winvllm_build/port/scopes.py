"""Which function, table or block a change stands in: a clean merge can put it into the wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from winvllm_build.patchset.diff import Diff

TELLING: Final = re.compile(rb"\w{2}")
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
class _Language:
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


PYTHON: Final = _Language(
    lines=re.compile(
        rb"^(?:(?P<indent>[ \t]*)(?:async[ \t]+def|def|class)[ \t]+(?P<name>\w+)|(?P<word>\w+))", re.MULTILINE
    ),
    head=_python,
)
C: Final = _Language(
    lines=re.compile(
        rb"^(?:#[ \t]*define[ \t]+(?P<macro>\w+)[^\n]*\\$"
        rb"|(?!template\b|using\b|typedef\b|namespace\b|public:|private:|protected:)(?P<text>[A-Za-z_][^\n]*))",
        re.MULTILINE,
    ),
    head=_c,
)
CMAKE: Final = _Language(
    lines=re.compile(rb"^(?P<indent>[ \t]*)(?!end|else)(?P<name>\w+[ \t]*\([^\n#]*)", re.MULTILINE),
    head=_indented,
)
RUST: Final = _Language(
    lines=re.compile(
        rb"^(?P<indent>[ \t]*)(?:pub(?:\([^)\n]*\))?[ \t]+)?(?:async[ \t]+|unsafe[ \t]+|const[ \t]+)*"
        rb"(?P<name>(?:fn|struct|enum|impl|mod|trait)\b[^\n({]*)",
        re.MULTILINE,
    ),
    head=_indented,
)
SECTIONS: Final = _Language(lines=re.compile(rb"^\[+(?P<name>[^\]\n]+)\]", re.MULTILINE), head=_section)
LANGUAGES: Final = {
    ".py": PYTHON, ".pyi": PYTHON, ".cmake": CMAKE, ".rs": RUST, ".toml": SECTIONS, ".cfg": SECTIONS,
    ".ini": SECTIONS,
    **dict.fromkeys((".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".inc"), C),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Changed lines without others between them: the first telling one, and its line in the old file."""

    at: int
    line: bytes


def strayed(was: Diff, now: Diff, *, old: bytes, new: bytes) -> tuple[tuple[str, str], ...]:
    """Where the patch stood and where the carried one stands, for changes that are in another place now.

    A place that upstream renamed is not another one: its old name is gone and its new one was not there.

    Args:
        was: the patch.
        now: the patch as carried.
        old: upstream's file before.
        new: upstream's file now.
    """
    path = PurePosixPath(was.path)
    language = CMAKE if path.name == "CMakeLists.txt" else LANGUAGES.get(path.suffix)
    if language is None:
        return ()
    before, after = heads(old, language), heads(new, language)
    names = [{head.name for head in found} for found in (before, after)]
    found: dict[tuple[str, str], None] = {}
    for one, other in _pairs(list(_runs(was)), list(_runs(now))):
        left, right = places(before, one.at, one.line), places(after, other.at, other.line)
        if (set(left) - set(right)) & names[1] or (set(right) - set(left)) & names[0]:
            found[_shown(left), _shown(right)] = None
    return tuple(found)


def heads(content: bytes, language: _Language) -> list[Head]:
    made = []
    line, at = 1, 0
    for found in language.lines.finditer(content):
        line += content.count(b"\n", at, found.start())
        at = found.start()
        indent, name = language.head(found)
        made.append(Head(line=line, indent=indent, name=name))
    return made


def places(known: Sequence[Head], at: int, line: bytes) -> tuple[bytes, ...]:
    """What `line` belongs to where it stands before line `at`, from the outside to the inside."""
    limit = width(line)
    found: list[bytes] = []
    for head in reversed(known):
        if head.line < at and head.indent < limit:
            limit = head.indent
            found += [head.name] if head.name is not None else []
            if limit <= 0:
                break
    return tuple(reversed(found))


def width(line: bytes) -> int:
    """The columns of white space that `line` begins with."""
    return len(line[: len(line) - len(line.lstrip(b" \t"))].expandtabs(8))


def _runs(diff: Diff) -> Iterator[_Run]:
    for hunk in diff.hunks:
        at = hunk.old_start + (hunk.old_count == 0)
        waiting = True
        for line in hunk.lines:
            mark = line[:1]
            if mark == b" ":
                waiting = True
            elif waiting and mark in (b"+", b"-") and TELLING.search(line):
                yield _Run(at=at, line=line[1:])
                waiting = False
            at += mark in (b" ", b"-")


def _pairs(was: Sequence[_Run], now: Sequence[_Run]) -> Iterator[tuple[_Run, _Run]]:
    before, after = ([run.line for run in runs] for runs in (was, now))
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for one, other, size in matcher.get_matching_blocks():
        yield from zip(was[one : one + size], now[other : other + size], strict=True)


def _shown(names: Sequence[bytes]) -> str:
    return ".".join(name.decode("utf-8", "replace") for name in names) or "the top level"
