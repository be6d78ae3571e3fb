"""`#if` over whole texts: what is left of it in a world, and which lines MSVC gets to see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.audit.cxx.conditions import WINDOWS_MACROS, World, evaluate, simplify
from winvllm_build.audit.cxx.text import Logical
from winvllm_build.audit.hit import State

Line = tuple[str, ...]
"""The tokens of one logical line; a directive ends with a newline, so that it cannot run into the next."""


class Part(Enum):
    """The parts of a conditional."""

    IF = "if"
    ELIF = "elif"
    ELSE = "else"
    END = "endif"


PARTS: Final = {
    "if": Part.IF, "ifdef": Part.IF, "ifndef": Part.IF, "elif": Part.ELIF, "elifdef": Part.ELIF,
    "elifndef": Part.ELIF, "else": Part.ELSE, "endif": Part.END,
}  # fmt: skip


@dataclass(slots=True)
class _Open:
    """A conditional whose end is not reached.

    Attributes:
        outer: whether it stands in text that is left.
        start: where in the result it begins.
        live: whether the branch we are in is left.
        taken: whether a branch was taken for sure.
        kept: whether a branch of it stays a conditional.
        filled: whether anything is left in it.
    """

    outer: bool
    start: int = 0
    live: bool = False
    taken: bool = False
    kept: bool = False
    filled: bool = False


def condition(line: Logical) -> tuple[str, ...]:
    """The condition of `#if`, `#ifdef`, `#elif`, ... as that of an `#if`."""
    if line.directive.endswith("ndef"):
        return ("!", "defined", *line.words[:1])
    return ("defined", *line.words[:1]) if line.directive.endswith("def") else line.words


def view(lines: Iterable[Logical], world: World) -> list[Line]:
    """The text that is left in a world.

    A conditional that the world does not decide stays, without its branches that do not hold and with a
    condition that is simplified; it goes where all its branches are empty.

    Raises:
        ValueError: a conditional is not closed, or closed without being open.
    """
    result: list[Line] = []
    stack = [_Open(outer=True, live=True)]
    for line in lines:
        part = PARTS.get(line.directive)
        if part is not None:
            _step(part, line, stack, result, world)
        elif stack[-1].live:
            texts = tuple(token.text for token in line.tokens)
            result.append((*texts, "\n") if line.directive else texts)
            stack[-1].filled = True
    if len(stack) != 1:
        raise ValueError("a conditional is not closed")
    return result


def _step(part: Part, line: Logical, stack: list[_Open], result: list[Line], world: World) -> None:
    """Go into a branch or out of it."""
    if part is Part.IF:
        stack.append(_Open(outer=stack[-1].live, start=len(result)))
    if len(stack) == 1:
        raise ValueError(f"line {line.line}: a conditional is closed that is not open")
    frame = stack[-1]
    if part is Part.END:
        _close(stack, result)
        return
    if not frame.outer or frame.taken:
        frame.live = False
        return
    decided, rest = (True, ()) if part is Part.ELSE else simplify(condition(line), world)
    frame.live, frame.taken = decided is not False, decided is True
    if decided is None:
        result.append(("#", "elif" if frame.kept else "if", *rest, "\n"))
        frame.kept = True
    elif decided and frame.kept:
        result.append(("#", "else", "\n"))


def _close(stack: list[_Open], result: list[Line]) -> None:
    frame = stack.pop()
    if not frame.outer:
        return
    if not frame.filled:
        del result[frame.start :]
        return
    if frame.kept:
        result.append(("#", "endif", "\n"))
    stack[-1].filled = True


class Sight(Enum):
    """Who gets a line, as far as is known."""

    ALL = "all"
    WINDOWS = "windows"
    """A Windows macro lets nobody else get it."""
    OTHERS = "others"
    """A Windows macro keeps it from MSVC."""
    NOBODY = "nobody"
    """It is for ROCm, another compiler or another system, whatever the Windows macros."""

    @property
    def state(self) -> State:
        return SIGHTS[self]

    @property
    def compiled(self) -> bool:
        """Whether MSVC gets to see it."""
        return self in (Sight.ALL, Sight.WINDOWS)


SIGHTS: Final = {
    Sight.ALL: State.LIVE, Sight.WINDOWS: State.GUARDED, Sight.OTHERS: State.GUARDED,
    Sight.NOBODY: State.DEAD,
}  # fmt: skip


@dataclass(slots=True)
class _Branch:
    """A conditional while it is told who gets its branches."""

    here: Sight = Sight.ALL
    on_windows: bool | None = False
    elsewhere: bool | None = False
    """Whether an earlier branch was taken, on Windows and without its macros; None where that is unknown."""


def states(lines: Sequence[Logical], world: World) -> list[State]:
    """The state of every line where `world` is one of MSVC's: dead, or guarded by a Windows macro, or live.

    A line that only Windows gets is guarded as well: somebody wrote it for Windows. Conditionals that are
    not balanced end no reading.
    """
    return [sight.state for sight in sights(lines, world)]


def sights(lines: Sequence[Logical], world: World) -> list[Sight]:
    """Who gets each line; `states` in more words."""
    elsewhere = World(
        {name: value for name, value in world.defined.items() if name not in WINDOWS_MACROS},
        world.undefined | WINDOWS_MACROS,
    )
    stack: list[_Branch] = []
    found: list[Sight] = []
    for line in lines:
        part = PARTS.get(line.directive)
        if part is Part.END and stack:
            stack.pop()
        elif part is Part.IF:
            found.append(_told(stack))
            stack.append(_Branch())
            _enter(stack[-1], condition(line), world, elsewhere)
            continue
        elif part in (Part.ELIF, Part.ELSE) and stack:
            found.append(_told(stack[:-1]))
            _enter(stack[-1], condition(line) if part is Part.ELIF else ("1",), world, elsewhere)
            continue
        found.append(_told(stack))
    return found


def _enter(branch: _Branch, tokens: Sequence[str], world: World, elsewhere: World) -> None:
    """Decide a branch in both worlds: a difference between them is a guard."""
    here = _and_not(evaluate(tokens, world), branch.on_windows)
    there = _and_not(evaluate(tokens, elsewhere), branch.elsewhere)
    branch.on_windows = _or(branch.on_windows, here)
    branch.elsewhere = _or(branch.elsewhere, there)
    if here is False:
        branch.here = Sight.NOBODY if there is False else Sight.OTHERS
    else:
        branch.here = Sight.WINDOWS if there is False else Sight.ALL


def _and_not(value: bool | None, before: bool | None) -> bool | None:  # noqa: FBT001 - three-valued logic
    if value is False or before is True:
        return False
    return None if value is None or before is None else True


def _or(one: bool | None, other: bool | None) -> bool | None:  # noqa: FBT001 - three-valued logic
    if one is True or other is True:
        return True
    return None if one is None or other is None else False


def _told(stack: Sequence[_Branch]) -> Sight:
    found = {branch.here for branch in stack}
    return next((sight for sight in (Sight.NOBODY, Sight.OTHERS, Sight.WINDOWS) if sight in found), Sight.ALL)
