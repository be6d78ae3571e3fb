"""Rules that read a few tokens in a row."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Final

from winvllm_build.audit.cxx.branches import PARTS
from winvllm_build.audit.cxx.place import Place, Rule, at
from winvllm_build.audit.cxx.source import HOST_ENDINGS, Row, Source
from winvllm_build.audit.cxx.spaces import Space
from winvllm_build.audit.cxx.text import TokenKind

MACRO: Final = re.compile(r"[A-Z][A-Z0-9_]{3,}")
DEEPEST_CHAIN: Final = 127
"""cl.exe takes 128 nested blocks; every `else if` is one more."""
LONGEST_STRING: Final = 16380
LONGEST_JOINED: Final = 65535
"""Bytes of one literal, and of adjacent ones together (documentation of C2026 and C1091)."""
CXX20: Final = 20
NOT_CONSTEXPR: Final = frozenset(
    {"sqrt", "sqrtf", "ceil", "ceilf", "floor", "floorf", "log", "logf", "log2", "log2f", "exp", "expf",
     "exp2", "exp2f", "pow", "powf", "round", "fabs", "fabsf"}
)  # fmt: skip
NARROWED: Final = frozenset({"char", "short", "float"})
INSTANTIATED: Final = frozenset(
    {"data_ptr", "mutable_data_ptr", "const_data_ptr", "item", "accessor", "packed_accessor32",
     "packed_accessor64"}
)  # fmt: skip
"""Functions of torch that exist for fixed types alone."""
FURTHEST: Final = 24
"""Tokens of a declaration that are looked at."""


def designated(source: Source) -> Iterator[Place]:
    """`{.x = 1, .y = 2}` below C++20."""
    row = source.row
    if source.standard >= CXX20:
        return
    for index in row.at.get(".", ()):
        named = row.text(index - 1) in ("{", ",") and row.kind(index + 1) is TokenKind.WORD
        if named and row.text(index + 2) in ("=", "{"):
            yield at(source, index, "D4", "designated-initialiser", f".{row.text(index + 1)}")


def variable_templates(source: Source) -> Iterator[Place]:
    """`template <typename T> __device__ constexpr T x = ...;`: attributes that do not apply to a variable."""
    row = source.row
    for index in row.at.get("template", ()):
        if row.text(index + 1) == "<":
            head = _head(row, _closing_angle(row, index + 1) + 1)
            if any("DEVICE" in word.upper() or "HOST" in word.upper() for word in head if _is_marker(word)):
                yield at(source, index, "D8", "variable-template-attribute", " ".join(head))


def uses_of_templates(source: Source, names: Collection[str]) -> Iterator[Place]:
    """Where such variables are used: each place changes with the template."""
    row = source.row
    for name in names:
        for index in row.at.get(name, ()):
            angle = row.text(index + 1) == "<"
            after = row.text(_closing_angle(row, index + 1) + 1) if angle else row.text(index + 1)
            if after not in ("=", "("):
                yield at(source, index, "D8", "variable-template-use", name)


def _is_marker(word: str) -> bool:
    return word.isupper() or word in ("__device__", "__host__")


def _closing_angle(row: Row, index: int) -> int:
    depth = 0
    for place in range(index, min(index + 400, len(row.tokens))):
        text = row.text(place)
        depth += (text == "<") - (text.count(">") if text in (">", ">>", ">>>") else 0)
        if depth <= 0:
            return place
    return index


def _head(row: Row, index: int) -> list[str]:
    """The words of a declaration up to `=` or `;`; none where it is no variable."""
    found: list[str] = []
    for place in range(index, min(index + 40, len(row.tokens))):
        text = row.text(place)
        if text in ("(", "{", "struct", "class", "using", "template", "\n", "operator", "requires"):
            return []
        if text in ("=", ";"):
            return found
        found.append(text)
    return []


def else_if_chains(source: Source) -> Iterator[Place]:
    """More `else if` in one chain than cl.exe nests blocks."""
    row = source.row
    if len(row.at.get("else", ())) <= DEEPEST_CHAIN:
        return
    depth = 0
    chains: dict[int, tuple[int, int]] = {}
    for index, token in enumerate(row.tokens):
        text = token.text
        if text in ("{", "("):
            depth += 1
        elif text in ("}", ")"):
            yield from _too_long(source, chains.pop(depth, (0, 0)))
            depth -= 1
        elif text == "if" and source.sight(index).compiled:
            if row.text(index - 1) == "else":
                first, length = chains.get(depth, (index, 0))
                chains[depth] = (first, length + 1)
            else:
                yield from _too_long(source, chains.pop(depth, (0, 0)))
                chains[depth] = (index, 0)
    for chain in chains.values():
        yield from _too_long(source, chain)


def _too_long(source: Source, chain: tuple[int, int]) -> Iterator[Place]:
    first, length = chain
    if length > DEEPEST_CHAIN:
        yield at(source, first, "D10", "else-if-chain", f"{length} times else if")


def directives_in_arguments(source: Source) -> Iterator[Place]:
    """A directive between the parentheses of a macro's call."""
    calls: list[bool] = []
    before = ""
    for line, sight in zip(source.lines, source.sights, strict=True):
        if line.directive:
            if any(calls) and (line.directive in PARTS or line.directive in ("define", "pragma", "undef")):
                yield Place("D14", "directive-in-macro-argument", line.line, sight, f"#{line.directive}")
            continue
        if not sight.compiled:
            continue
        for token in line.tokens:
            if token.text == "(":
                calls.append(MACRO.fullmatch(before) is not None)
            elif token.text == ")" and calls:
                calls.pop()
            elif token.text in ("{", "}", ";") and calls and not any(calls):
                calls.clear()
            before = token.text


def over_aligned(source: Source) -> Iterator[Place]:
    """`CUtensorMap`, aligned to 64 or 128 bytes, as a parameter by value of a function of the host."""
    row = source.row
    for index in row.at.get("CUtensorMap", ()):
        before, after = row.text(index - 1), row.text(index + 2)
        by_value = row.kind(index + 1) is TokenKind.WORD and after in (",", ")")
        if by_value and before in ("(", ",", "const", "__grid_constant__"):
            yield at(source, index, "D18", "over-aligned-parameter", row.text(index + 1))


def constexpr_dim3(source: Source) -> Iterator[Place]:
    """A `dim3` that has to be a constant: its constructor is constexpr only where `__cplusplus` is right."""
    row = source.row
    for index in row.at.get("dim3", ()):
        if row.text(index - 1) in ("constexpr", "const") and "constexpr" in (
            row.text(index - 1), row.text(index - 2), row.text(index - 3),
        ):  # fmt: skip
            yield at(source, index, "D22", "constexpr-dim3")


def inline_assembly(source: Source) -> Iterator[Place]:
    """`asm` that cl.exe gets: in host code, or in code for both without `__CUDA_ARCH__` around it."""
    row = source.row
    for word in ("asm", "__asm"):
        for index in row.at.get(word, ()):
            space = source.space(index)
            macro = source.lines[row.lines[index]].directive != ""
            on_host = space in (Space.HOST, Space.BOTH) or source.path.endswith(HOST_ENDINGS)
            if on_host and not macro and row.text(index + 1) in ("(", "volatile", "__volatile__"):
                yield at(source, index, "D27", "inline-assembly", (space or Space.HOST).value)


def hopper_loops(source: Source) -> Iterator[Place]:
    """A main loop for Hopper written in the tree; the first place of a file."""
    row = source.row
    words = ("warpgroup_fence_operand", "warpgroup_commit_batch", "warpgroup_arrive")
    found = sorted(index for word in words for index in row.at.get(word, ()) if source.sight(index).compiled)
    if found:
        yield at(source, found[0], "D34", "hopper-main-loop", row.text(found[0]))


def statement_expressions(source: Source) -> Iterator[Place]:
    row = source.row
    for index in row.at.get("{", ()):
        before = row.text(index - 2)
        call = row.kind(index - 2) is TokenKind.WORD or before in (")", ">", "]")
        if row.text(index - 1) == "(" and (not call or before in ("return", "=")):
            yield at(source, index, "D43", "statement-expression")


def zero_arrays(source: Source) -> Iterator[Place]:
    """`int x[0];` anywhere but at the end of a structure."""
    row = source.row
    for index in row.at.get("0", ()):
        array = row.text(index - 1) == "[" and row.text(index + 1) == "]" and row.text(index + 2) == ";"
        declared = row.kind(index - 2) is TokenKind.WORD and row.kind(index - 3) is TokenKind.WORD
        member = source.space(index) is None and row.text(index + 3) == "}"
        if array and declared and not member and row.text(index - 3) not in ("return", "delete", "else"):
            yield at(source, index, "D45", "zero-length-array", row.text(index - 2))


def omitted_operands(source: Source) -> Iterator[Place]:
    row = source.row
    for index in row.at.get("?", ()):
        if row.text(index + 1) == ":":
            yield at(source, index, "D46", "omitted-operand")


def long_strings(source: Source) -> Iterator[Place]:
    """One literal that is too long, or adjacent ones that are together."""
    row = source.row
    joined = 0
    for index, token in enumerate(row.tokens):
        if token.kind is not TokenKind.STRING:
            joined = 0
            continue
        joined += len(token.text)
        if len(token.text) > LONGEST_STRING or joined > LONGEST_JOINED:
            yield at(source, index, "D48", "long-string", f"{max(joined, len(token.text))} bytes")
            joined = 0


def foreign_directives(source: Source) -> Iterator[Place]:
    """Directives that MSVC ends with an error at, or passes over with a warning."""
    for line, sight in zip(source.lines, source.sights, strict=True):
        if line.directive in ("include_next", "warning"):
            yield Place("D49", "foreign-directive", line.line, sight, f"#{line.directive}")
        elif line.directive == "pragma" and line.words[:1] in (("GCC",), ("clang",)):
            yield Place("D50", "foreign-pragma", line.line, sight, " ".join(line.words[:3]))


def variadic_commas(source: Source) -> Iterator[Place]:
    row = source.row
    for index in row.at.get("##", ()):
        if row.text(index + 1) == "__VA_ARGS__" and row.text(index - 1) == ",":
            yield at(source, index, "D50", "variadic-comma")


def long_widths(source: Source) -> Iterator[Place]:
    """`long`: 64 bits on Linux, 32 on Windows; as a template argument another instance than `int64_t`."""
    row = source.row
    for index in row.at.get("long", ()):
        before, after = row.text(index - 1), row.text(index + 1)
        if "long" in (before, after) or after == "double" or before == "double":
            continue
        if row.text(index - 2) == "long" or row.text(index + 2) == "long":
            continue  # `long unsigned long`
        if source.names("long", row.tokens[index].line):
            continue  # a macro for MSVC says what it stands for
        unsigned = before == "unsigned"
        opened = index - 1 - unsigned
        if row.text(opened) == "<" and after in (">", ",") and row.text(opened - 1) in INSTANTIATED:
            yield at(source, index, "D53", "instance-for-long", row.text(opened - 1))
        elif after == "*" and _is_cast(row, index):
            yield at(source, index, "D51", "pointer-to-long")
        elif (
            row.text(opened) in ("<", ",")
            and row.kind(index + 1) is TokenKind.WORD
            and _is_parameter(row, opened)
        ):
            yield at(source, index, "D53", "template-parameter", after)
        else:
            yield at(source, index, "D52", "long-width", f"{before} long {after}")


def _is_cast(row: Row, index: int) -> bool:
    """`reinterpret_cast<const long*>`, `(long*)`: other data is read as long."""
    start = index
    while row.text(start - 1) in ("const", "unsigned", "volatile"):
        start -= 1
    named = row.text(start - 1) == "<" and row.text(start - 2) in ("reinterpret_cast", "static_cast")
    called = row.kind(start - 2) is TokenKind.WORD and row.text(start - 2) != "return"
    return named or (row.text(start - 1) == "(" and row.text(index + 2) == ")" and not called)


def _is_parameter(row: Row, index: int) -> bool:
    """Whether a `<` or a comma stands in the head of a template."""
    for place in range(index, max(index - 40, 0), -1):
        if row.text(place) == "<":
            return row.text(place - 1) == "template"
        if row.text(place) in (";", "{", "}", "(", ")"):
            return False
    return False


def narrowing(source: Source) -> Iterator[Place]:
    """`device_guard{(char)x}`: a cast to a narrower type inside braces, for a parameter of another type."""
    row = source.row
    for index in row.at.get("{", ()):
        cast = row.text(index + 1) == "(" and row.text(index + 2) in NARROWED and row.text(index + 3) == ")"
        if cast and row.kind(index - 1) is TokenKind.WORD:
            yield at(source, index, "D54", "narrowing", f"{{({row.text(index + 2)})...}}")


def case_ranges(source: Source) -> Iterator[Place]:
    row = source.row
    for index in row.at.get("case", ()):
        words = [row.text(index + step) for step in range(1, 6)]
        if "..." in words and ":" not in words[: words.index("...")]:
            yield at(source, index, "D56", "case-range")
    for index in row.at.get("goto", ()):
        if row.text(index + 1) == "*":
            yield at(source, index, "D56", "computed-goto")


def constexpr_mathematics(source: Source) -> Iterator[Place]:
    """`constexpr float x = std::sqrt(2.0f);`: GCC computes it, the standard and cl.exe do not."""
    row = source.row
    for index in row.at.get("constexpr", ()):
        for place in range(index + 1, min(index + FURTHEST, len(row.tokens))):
            text = row.text(place)
            if text in (";", "(", "{", "\n"):
                called = row.text(place - 1) if text == "(" else ""
                initialised = any(row.text(i) == "=" for i in range(index, place))
                if initialised and called in NOT_CONSTEXPR:
                    yield at(source, index, "D59", "constexpr-mathematics", called)
                break


RULES: Final[tuple[Rule, ...]] = (
    designated, variable_templates, else_if_chains, directives_in_arguments, over_aligned, constexpr_dim3,
    inline_assembly, hopper_loops, statement_expressions, zero_arrays, omitted_operands, long_strings,
    foreign_directives, variadic_commas, long_widths, narrowing, case_ranges, constexpr_mathematics,
)  # fmt: skip
