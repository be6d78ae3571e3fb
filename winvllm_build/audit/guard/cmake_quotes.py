"""Quotes around an argument of CMake: of no account where its value is one element without them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.audit.files import Files
from winvllm_build.audit.guard.facts import facts
from winvllm_build.audit.guard.judgement import Confirmed, Ground
from winvllm_build.errors import SourceError
from winvllm_build.intake.cmake_text import Argument, Command, Quoting, commands

REFERENCE: Final = re.compile(r"\$(?P<kind>ENV|CACHE)?\{(?P<name>[^${}]*)\}")
ONLY: Final = re.compile(r"\$\{(?P<name>\w+)\}")
DEFINES: Final = ("macro", "function")
NO_CONDITION: Final = ("if", "elseif", "while")
"""There, quotes keep a word from being taken for a variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A call, and the variables that the conditions around it say are true, and so not empty."""

    arguments: tuple[Argument, ...]
    true: frozenset[str]


class Quotes:
    """Takes quotes off where that changes nothing.

    Args:
        old: the tree without the patch.
        new: the tree with it: both have to call a function in the same safe way.
    """

    def __init__(self, old: Files, new: Files) -> None:
        self._trees = (old, new)
        self._calls: dict[str, list[_Call] | None] = {}
        self._found: list[Confirmed] = []

    def without(self, found: Sequence[Command]) -> list[Command]:
        made: list[Command] = []
        around: Command | None = None
        begun = 0
        for at, command in enumerate(found):
            if command.name in DEFINES:
                around, begun = command, at
            elif command.name in {f"end{name}" for name in DEFINES}:
                around = None
            arguments = tuple(
                self._bare(argument, command, around, found[begun:at]) for argument in command.arguments
            )
            made.append(replace(command, arguments=arguments))
        return made

    def needed(self, before: Sequence[str], after: Sequence[str]) -> list[Confirmed]:
        """The grounds, where taking the quotes off made differences go."""
        gone = [change for change in before if change not in after]
        return [one for one in dict.fromkeys(self._found) if any(one.detail.split(":")[0] in c for c in gone)]

    def _bare(
        self, argument: Argument, command: Command, around: Command | None, before: Sequence[Command]
    ) -> Argument:
        if argument.quoting is not Quoting.QUOTED or command.name in NO_CONDITION:
            return argument
        why = self._single(argument.text, around, before)
        if not why:
            return argument
        self._found.append(Confirmed(ground=Ground.QUOTES, detail=f"{argument.text}: {why}"))
        return replace(argument, quoting=Quoting.UNQUOTED)

    def _single(self, text: str, around: Command | None, before: Sequence[Command]) -> str:
        """Why a text with references is one element and not empty; empty words where that is not sure."""
        parameter = ONLY.fullmatch(text)
        if parameter is not None:
            return self._parameter(parameter["name"], around, before)
        rest = REFERENCE.sub("", text)
        named = [(one["kind"], one["name"]) for one in REFERENCE.finditer(text)]
        colons = all(kind == "ENV" and name in facts().colons for kind, name in named)
        if rest and colons and not re.search(r"[;\s()#\"\\$]", rest):
            return "a list with colons, and a word before it" if named else "a word"
        return ""

    def _parameter(self, name: str, around: Command | None, before: Sequence[Command]) -> str:
        """A parameter that every call in the tree gives as one element that is not empty."""
        words = around.words if around is not None else ()
        if around is None or name not in words[1:] or any(name in one.words for one in before[1:]):
            return ""
        place = words[1:].index(name)
        calls = self._calls_of(words[0].lower())
        if not calls or not all(_gives_element(one, place) for one in calls):
            return ""
        return f"a parameter of {words[0]}, which is always called with one element"

    def _calls_of(self, function: str) -> list[_Call] | None:
        """Every call in both trees; None where a file cannot be read."""
        if function not in self._calls:
            try:
                self._calls[function] = [one for tree in self._trees for one in _calls(tree, function)]
            except SourceError:
                self._calls[function] = None
        return self._calls[function]


def _calls(tree: Files, function: str) -> Iterator[_Call]:
    names = [name for name in tree.names if name.endswith((".cmake", "CMakeLists.txt"))]
    tree.fetch(names)
    for name in names:
        text = tree.text(name) or ""
        if function not in text.lower():
            continue
        open_: list[tuple[str, ...]] = []
        for command in commands(text, name):
            if command.name == "if":
                open_.append(command.words)
            elif command.name in ("elseif", "else") and open_:
                open_[-1] = command.words if command.name == "elseif" else ()
            elif command.name == "endif" and open_:
                open_.pop()
            elif command.name == function:
                true = frozenset(words[0] for words in open_ if len(words) == 1)
                yield _Call(arguments=command.arguments, true=true)


def _gives_element(call: _Call, place: int) -> bool:
    """Whether each argument up to `place` is a variable that is known to be true, or a plain word."""
    if len(call.arguments) <= place:
        return False
    return all(_is_element(one, call.true) for one in call.arguments[: place + 1])


def _is_element(argument: Argument, true: frozenset[str]) -> bool:
    variable = ONLY.fullmatch(argument.text)
    if variable is not None:
        return argument.quoting is Quoting.UNQUOTED and variable["name"] in true
    return bool(argument.text) and not re.search(r"[;$]", argument.text)
