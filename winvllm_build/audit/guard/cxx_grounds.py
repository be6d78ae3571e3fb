"""Spellings of C++ that mean the same on Linux: each brought to one form, where that is certain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from winvllm_build.audit.guard.difference import Line
from winvllm_build.audit.guard.judgement import Ground

ALTERNATIVE: Final = {
    "and": "&&", "or": "||", "not": "!", "bitand": "&", "bitor": "|", "xor": "^", "compl": "~",
    "and_eq": "&=", "or_eq": "|=", "xor_eq": "^=", "not_eq": "!=", "<%": "{", "%>": "}", "<:": "[", ":>": "]",
}  # fmt: skip
KEYWORDS: Final = {
    "__asm__": "asm", "__asm": "asm", "__volatile__": "volatile", "__volatile": "volatile",
    "__inline__": "inline", "__inline": "inline", "__const__": "const", "__const": "const",
    "__signed__": "signed", "__restrict__": "__restrict", "__typeof__": "typeof", "__alignof__": "__alignof",
}  # fmt: skip
LONGER: Final = frozenset({"long", "int", "unsigned", "signed", "double", "short", "char"})
OWN_INTEGER: Final = re.compile(
    r"\b(using int64_t =|define (long|int64_t)|namespace std|typedef [^;]* int64_t ;)"
)
MACRO: Final = re.compile(r"[A-Z][A-Z0-9_]{2,}|assert")
"""Macros may make a text of what they are given (`#x`): a spelling that they get to see stays as it is."""
PASTES: Final = frozenset({"#", "##"})
INDEX_TAKERS: Final = frozenset({"CUDAGuard", "OptionalCUDAGuard", "HIPGuard", "OptionalHIPGuard"})
"""Their argument is a `c10::DeviceIndex`, which is `int8_t` (c10/core/Device.h)."""
GIVE_INDEX: Final = frozenset({"get_device", "index"})
"""They return an integer (ATen/core/TensorBase.h, c10/core/Device.h)."""
TO_INDEX: Final = ("(", "static_cast", "<", "c10", "::", "DeviceIndex", ">", "(")
FROM_CHAR: Final = ("{", "(", "char", ")")

Rewrite = Callable[[Sequence[Line]], "list[Line]"]


def rewrites() -> Mapping[Ground, Rewrite]:
    """What to apply to both versions, in this order."""
    return {
        Ground.TOKENS: lambda lines: _replaced(lines, ALTERNATIVE),
        Ground.KEYWORDS: lambda lines: _replaced(lines, KEYWORDS),
        Ground.LONG: _without_long,
        Ground.DEVICE_INDEX: _with_index,
    }


def _replaced(lines: Sequence[Line], words: Mapping[str, str]) -> list[Line]:
    return [
        tuple(words.get(token, token) if free else token for token, free in line) for line in _free(lines)
    ]


def _free(lines: Iterable[Line]) -> Iterator[list[tuple[str, bool]]]:
    """Each token, and whether no macro gets to see it that may make a text of it."""
    lines = [*lines]
    pasting = {line[2] for line in lines if line[:2] == ("#", "define") and PASTES & set(line[2:])}
    stack: list[bool] = []
    before = ""
    for line in lines:
        if line[0] == "#":
            body = line[2:]
            plain = line[1:2] == ("define",) and not PASTES & set(body)
            yield [(token, plain) for token in line]
            continue
        told: list[tuple[str, bool]] = []
        for token in line:
            if token == "(":  # noqa: S105 - a parenthesis
                stack.append(before in pasting or bool(MACRO.fullmatch(before)))
            elif token == ")" and stack:  # noqa: S105 - a token, no password
                stack.pop()
            told.append((token, not any(stack)))
            before = token
        yield told


def _without_long(lines: Sequence[Line]) -> list[Line]:
    """`long` alone as `int64_t`; a file with an `int64_t` of its own, and macros, stay as they are."""
    if OWN_INTEGER.search("\n".join(" ".join(line) for line in lines)):
        return [*lines]
    flat = [(token, free, at) for at, line in enumerate(_free(lines)) for token, free in line]
    made: list[list[str]] = [[] for _ in lines]
    for index, (token, free, at) in enumerate(flat):
        around = {flat[other][0] for other in (index - 1, index + 1) if 0 <= other < len(flat)}
        alone = token == "long" and free and lines[at][0] != "#" and not around & LONGER  # noqa: S105 - a token, no password
        made[at].append("int64_t" if alone else token)
    return [tuple(line) for line in made]


def _with_index(lines: Sequence[Line]) -> list[Line]:
    """`CUDAGuard guard{(char)x};` as `CUDAGuard guard(static_cast<c10::DeviceIndex>(x));`."""
    flat = [(token, at) for at, line in enumerate(lines) for token in line]
    tokens = [token for token, _ in flat]
    made: list[list[str]] = [[] for _ in lines]
    at = 0
    while at < len(flat):
        token, line = flat[at]
        end = _closing(tokens, at) if _takes_char(tokens, at) else None
        if end is None:
            made[line].append(token)
            at += 1
            continue
        made[line] += [*TO_INDEX, *tokens[at + len(FROM_CHAR) : end], ")", ")"]
        at = end + 1
    return [tuple(part) for part in made if part]


def _takes_char(tokens: Sequence[str], at: int) -> bool:
    starts = tuple(tokens[at : at + len(FROM_CHAR)]) == FROM_CHAR
    return starts and at > 1 and tokens[at - 2] in INDEX_TAKERS


def _closing(tokens: Sequence[str], at: int) -> int | None:
    """The brace that closes the one at `at`, if the cast is of what `x.get_device()` returns."""
    depth = 0
    for index in range(at, len(tokens)):
        token = tokens[index]
        depth += (token in ("{", "(")) - (token in ("}", ")"))
        if depth == 0:
            return index if tokens[index - 3] in GIVE_INDEX else None
        if depth == 1 and index > at + len(FROM_CHAR) and not re.fullmatch(r"\w+|\.|->|::|\(|\)", token):
            return None
    return None
