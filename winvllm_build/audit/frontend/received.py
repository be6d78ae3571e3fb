"""The text that cl.exe would be given, held against what cl.exe does not take.

`cudafe++` writes the host half of a unit as C++ for the host compiler. In what it took from the tree's own
files a use of GCC's extensions still matters: the kernels are gone, the macros are replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from winvllm_build.audit.frontend.messages import Message

LINE: Final = re.compile(r'^#line (\d+)(?: "((?:[^"\\]|\\.)*)")?\s*$')
TOKEN: Final = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|//.*|/\*.*?\*/|[A-Za-z_]\w*|\d[\w.\']*|::|->|\S'
)
REFUSED: Final = {
    "and": "alternative token", "and_eq": "alternative token", "bitand": "alternative token",
    "bitor": "alternative token", "compl": "alternative token", "not": "alternative token",
    "not_eq": "alternative token", "or": "alternative token", "or_eq": "alternative token",
    "xor": "alternative token", "xor_eq": "alternative token",
    "__attribute__": "GCC attribute", "__attribute": "GCC attribute",
    "__asm__": "GCC spelling of asm", "__volatile__": "GCC spelling of volatile",
    "__typeof__": "typeof", "__PRETTY_FUNCTION__": "GCC's name of the function",
}  # fmt: skip
"""A word and what it is. Names of 128-bit integers are not among them: where the text does not define them,
the front end itself refuses them."""
BUILTIN: Final = re.compile(r"__builtin_\w+|__sync_\w+|__atomic_\w+")
KNOWN_BUILTINS: Final = frozenset(
    {"__builtin_addressof", "__builtin_bit_cast", "__builtin_huge_val", "__builtin_huge_valf",
     "__builtin_nan", "__builtin_nanf", "__builtin_nans", "__builtin_nansf", "__builtin_offsetof"}
)  # fmt: skip
"""What cl.exe has under GCC's names; <limits> of its own library uses those of infinity and NaN."""


def lint(content: Iterable[str], folders: tuple[str, ...]) -> tuple[Message, ...]:
    """What is refused, once for each place.

    Args:
        content: the lines of `*.cudafe1.cpp`.
        folders: only what came from files below these, by short names (`csrc/`).
    """
    found: dict[Message, None] = {}
    for file, line, code in _lines(content):
        if file.startswith(folders):
            for word in _words(code):
                what = _refused(word)
                if what is not None:
                    found[
                        Message(file=file, line=line, text=f"{what}: {word}", source=code.strip()[:160])
                    ] = None
    return tuple(found)


def _refused(word: str) -> str | None:
    if word in REFUSED:
        return REFUSED[word]
    return "GCC builtin" if BUILTIN.fullmatch(word) and word not in KNOWN_BUILTINS else None


def _words(code: str) -> Iterator[str]:
    """Identifiers that are neither qualified nor members."""
    before = ""
    for match in TOKEN.finditer(code):
        token = match[0]
        if (token[0].isalpha() or token[0] == "_") and before not in {"::", ".", "->"}:
            yield token
        before = token


def _lines(text: Iterable[str]) -> Iterator[tuple[str, int, str]]:
    """Each line of code with the place it came from; `#if 0`, which nests, hides bodies of the device."""
    file, line, hidden = "", 0, 0
    for raw in text:
        match = LINE.match(raw)
        if match:
            line = int(match[1])
            file = match[2].replace("\\\\", "/") if match[2] is not None else file
            continue
        if raw.startswith("#if 0"):
            hidden += 1
        elif raw.startswith("#endif"):
            hidden = max(hidden - 1, 0)
        elif not hidden:
            yield file, line, raw
        line += 1
