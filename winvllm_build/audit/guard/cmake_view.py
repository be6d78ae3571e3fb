"""Two versions of a CMake file compared with everything that Windows decides taken out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.audit.files import Files
from winvllm_build.audit.guard import cmake_own
from winvllm_build.audit.guard.cmake_quotes import Quotes
from winvllm_build.audit.guard.difference import Line, differences
from winvllm_build.audit.guard.facts import facts
from winvllm_build.audit.guard.judgement import Confirmed, Ground, Platform, View
from winvllm_build.errors import SourceError
from winvllm_build.intake.cmake_text import Argument, Command, Quoting, commands

LANGUAGE: Final = {
    Platform.CUDA: {"VLLM_GPU_LANG STREQUAL HIP": False},
    Platform.ROCM: {"VLLM_GPU_LANG STREQUAL CUDA": False, "VLLM_GPU_LANG STREQUAL HIP": True},
}
"""What upstream's CMakeLists.txt sets by torch's build; whatever is not ROCm is in the view of CUDA."""
JOINS: Final = ("AND", "OR", "(", ")")
EXPRESSION: Final = re.compile(r"\$<(?P<condition>\$<(?P<name>[^<>]*)>|[01]):[^<>]*>")


@dataclass(slots=True)
class _Open:
    """An `if` whose `endif` is not reached."""

    outer: bool
    live: bool = False
    taken: bool = False
    kept: bool = False


def view(path: str, texts: tuple[str, str], platform: Platform, trees: tuple[Files, Files]) -> View:
    """How one platform sees the change of a CMake file.

    Args:
        path: where it is in the tree.
        texts: its text before and after.
        platform: decides what upstream's own files set.
        trees: without the patch and with it, where functions are called.
    """
    try:
        sides = [left(commands(text, path), known_on(platform)) for text in texts]
    except (SourceError, ValueError) as error:
        return View.of((), left=(f"cannot be read: {error}",))
    changes = differences(*(lines(side) for side in sides))
    if not changes:
        return View.of(())
    before, after, grounds = cmake_own.without_stops(*sides)
    after, names = without_own(after, path, trees)
    grounds += [Confirmed(ground=Ground.OWN, detail=name) for name in names]
    quotes = Quotes(*trees)
    bare = [quotes.without(side) for side in (before, after)]
    rest = differences(*(lines(side) for side in bare))
    remaining = differences(lines(before), lines(after))
    return View.of([*grounds, *quotes.needed(remaining, rest)], changes, left=rest)


def on_linux(text: str, path: str, platform: Platform, trees: tuple[Files, Files]) -> list[Command]:
    """What Linux reads of a file, unless somebody sets a variable of the patches by hand.

    Raises:
        SourceError: it is not CMake.
        ValueError: a conditional is not closed, or closed without being open.
    """
    return without_own(left(commands(text, path), known_on(platform)), path, trees)[0]


def without_own(
    found: list[Command], path: str, trees: tuple[Files, Files]
) -> tuple[list[Command], list[str]]:
    """The commands without the branches behind variables that nothing sets, and those variables."""
    names: list[str] = []
    while True:
        unset = [name for name in cmake_own.unset(found, path, *trees) if name not in names]
        if not unset:
            return found, [name for name in names if not cmake_own.is_asked(found, name)]
        found = left(found, dict.fromkeys(unset, False))
        names += unset


def lines(found: Iterable[Command]) -> list[Line]:
    """One command a line, its parentheses around the arguments as they are written."""
    return [(one.name, "(", *(spelled(argument) for argument in one.arguments), ")") for one in found]


def spelled(argument: Argument) -> str:
    match argument.quoting:
        case Quoting.QUOTED:
            return f'"{argument.text}"'
        case Quoting.BRACKET:
            return f"[[{argument.text}]]"
        case _:
            return argument.text


def known_on(platform: Platform) -> Mapping[str, bool]:
    """The conditions that a platform decides, words joined by blanks, without quotes."""
    return {**facts().cmake, **LANGUAGE[platform]}


def left(found: Sequence[Command], known: Mapping[str, bool]) -> list[Command]:
    """The commands that are left; undecided conditionals stay, with both branches.

    Raises:
        ValueError: a conditional is not closed, or closed without being open.
    """
    result: list[Command] = []
    stack = [_Open(outer=True, live=True)]
    for command in found:
        if command.name in ("if", "elseif", "else", "endif"):
            kept = _step(command, stack, known)
            result += [kept] if kept is not None else []
        elif stack[-1].live:
            result.append(replace(command, arguments=tuple(_without_expressions(command.arguments))))
    if len(stack) != 1:
        raise ValueError("a conditional is not closed")
    return result


def _step(command: Command, stack: list[_Open], known: Mapping[str, bool]) -> Command | None:
    """Go into or out of a branch; what stays of it."""
    if command.name == "if":
        stack.append(_Open(outer=stack[-1].live))
    if len(stack) == 1:
        raise ValueError(f"line {command.line}: {command.name} without an if")
    frame = stack[-1]
    if command.name == "endif":
        stack.pop()
        return replace(command, arguments=()) if frame.outer and frame.kept else None
    if not frame.outer or frame.taken:
        frame.live = False
        return None
    value = True if command.name == "else" else decided(command.arguments, known)
    frame.live, frame.taken = value is not False, value is True
    if value is None:
        kept = replace(command, name="elseif" if frame.kept else "if")
        frame.kept = True
        return kept
    return Command(name="else", arguments=(), line=command.line) if value and frame.kept else None


def decided(arguments: Sequence[Argument], known: Mapping[str, bool]) -> bool | None:
    """The value of a condition; None where the platform does not decide it."""
    words = [_word(argument) for argument in arguments]
    found, at = _either(words, 0, known)
    return found if at == len(words) else None


def _word(argument: Argument) -> str:
    """A word of a condition; a quoted operator is none."""
    quoted_operator = argument.quoting is Quoting.QUOTED and argument.text in (*JOINS, "NOT")
    return f'"{argument.text}"' if quoted_operator else argument.text


def _either(words: Sequence[str], at: int, known: Mapping[str, bool]) -> tuple[bool | None, int]:
    return _chain(words, at, known, "OR", _both, decisive=True)


def _both(words: Sequence[str], at: int, known: Mapping[str, bool]) -> tuple[bool | None, int]:
    return _chain(words, at, known, "AND", _term, decisive=False)


def _chain(
    words: Sequence[str], at: int, known: Mapping[str, bool], join: str,
    part: Callable[[Sequence[str], int, Mapping[str, bool]], tuple[bool | None, int]], *, decisive: bool,
) -> tuple[bool | None, int]:  # fmt: skip
    found, at = part(words, at, known)
    while at < len(words) and words[at] == join:
        other, at = part(words, at + 1, known)
        values = (found, other)
        found = decisive if decisive in values else (None if None in values else not decisive)
    return found, at


def _term(words: Sequence[str], at: int, known: Mapping[str, bool]) -> tuple[bool | None, int]:
    if words[at : at + 1] == ["NOT"]:
        inner, at = _term(words, at + 1, known)
        return (None if inner is None else not inner), at
    if words[at : at + 1] == ["("]:
        inner, at = _either(words, at + 1, known)
        return (inner, at + 1) if words[at : at + 1] == [")"] else (None, at)
    begun = at
    while at < len(words) and words[at] not in JOINS:
        at += 1
    return known.get(" ".join(words[begun:at]).replace("${", "").replace("}", "")), at


def _without_expressions(arguments: Iterable[Argument]) -> Iterable[Argument]:
    """Generator expressions that are empty on Linux taken out."""
    for argument in arguments:
        text = EXPRESSION.sub(_expression, argument.text)
        if text == argument.text:
            yield argument
        elif text:
            yield replace(argument, text=text)


def _expression(match: re.Match[str]) -> str:
    false = match["condition"] == "0" or match["name"] in facts().generator
    return "" if false else match[0]
