"""A reading of a project's CMake files in their order, `include` followed, `if` decided where it can be."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_conditions import decide, names, words
from winvllm_build.intake.cmake_text import Argument, Command, commands
from winvllm_build.intake.cmake_values import ARCH, Condition, Conditions, Item, Variables

TOP: Final = "CMakeLists.txt"
CUDA_BUILD: Final = {
    "VLLM_TARGET_DEVICE": "cuda", "CUDA_FOUND": "TRUE", "HIP_FOUND": "FALSE", "PYTORCH_FOUND_HIP": "FALSE",
}  # fmt: skip
"""What is known where vLLM is built for CUDA; everything else the files say, or the machine decides."""
DEEPEST: Final = 8
HERE: Final = re.compile(r"\$\{CMAKE_(?P<which>CURRENT_LIST|CURRENT_SOURCE|SOURCE)_DIR\}/?")
FROM_ENVIRONMENT: Final = re.compile(r"\$ENV\{\w+\}")
REFERENCE: Final = re.compile(r"\$\{(\w+)\}")
LIST_CHANGES: Final = frozenset({"SORT", "REVERSE", "REMOVE_DUPLICATES", "FILTER", "TRANSFORM", "LENGTH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One command as the reading comes to it; not `live` where a condition before it never holds."""

    command: Command
    file: str
    conditions: Conditions
    live: bool


@dataclass(slots=True)
class _Branch:
    """An `if` that is open: the branches behind us, and the one we are in."""

    behind: list[Condition] = field(default_factory=list)
    here: Condition | None = None
    taken: bool = False
    dead: bool = False


class Run:
    """Reads a project from its top file; `variables` is what holds at the command just visited."""

    def __init__(self, checkout: Checkout, known: Mapping[str, str] | None = None) -> None:
        self.variables = Variables(CUDA_BUILD if known is None else known)
        self._checkout = checkout
        self._branches: list[_Branch] = []
        self._clauses = 0

    def visits(self, file: str = TOP, depth: int = 0) -> Iterator[Visit]:
        """Every command outside function bodies, dead branches included.

        Raises:
            SourceError: a file is missing or not CMake.
        """
        inside = ""
        for command in commands(self._checkout.text(file), file):
            if inside:
                inside = "" if command.name == f"end{inside}" else inside
            elif command.name in ("function", "macro"):
                inside = command.name
            elif command.name in ("if", "elseif", "else", "endif"):
                self._branch(command)
            else:
                visit = Visit(command=command, file=file, conditions=self._conditions, live=self._live)
                self._learn(visit)
                yield visit
                if visit.live and command.name == "include" and depth < DEEPEST:
                    found = self.path(command.arguments[0], file) if command.arguments else None
                    if found is not None:
                        yield from self.visits(found, depth + 1)
                if visit.live and command.name == "return" and not visit.conditions:
                    return

    def path(self, argument: Argument, file: str) -> str | None:
        """The file of the project that an argument names; None for a module of CMake's own."""
        folder = posixpath.dirname(file)
        for text in self.variables.texts(argument):
            made = relative(text, folder)
            if made in self._checkout.entries:
                return made
        return None

    @property
    def _conditions(self) -> Conditions:
        found: list[Condition] = []
        for branch in self._branches:
            found += [*branch.behind, *([branch.here] if branch.here else [])]
        return tuple(found)

    @property
    def _live(self) -> bool:
        return not any(branch.dead for branch in self._branches)

    def _branch(self, command: Command) -> None:
        if command.name == "if":
            self._branches.append(_Branch())
        if not self._branches:
            return  # the manual forbids it; nothing hangs on it here
        if command.name == "endif":
            self._branches.pop()
            return
        branch = self._branches[-1]
        if branch.here is not None:
            branch.behind.append(Condition(
                text=branch.here.text, clause=branch.here.clause, holds=False, archs=branch.here.archs,
            ))  # fmt: skip
            branch.here = None
        branch.dead = branch.taken
        if command.name != "else" and not branch.dead:
            self._enter(branch, command)

    def _enter(self, branch: _Branch, command: Command) -> None:
        answer = decide(command.arguments, self.variables)
        branch.taken, branch.dead = answer is True, answer is False
        if answer is None:
            self._clauses += 1
            branch.here = Condition(
                text=words(command.arguments), clause=self._clauses,
                archs=self.variables.archs(names(command.arguments)),
            )  # fmt: skip

    def _learn(self, visit: Visit) -> None:
        """What a command does to the variables."""
        arguments = visit.command.arguments
        if not arguments:
            return
        match visit.command.name:
            case "set":
                self._set(visit)
            case "list" if visit.live:
                self._list(visit)
            case "file" if visit.live and arguments[0].text.startswith("GLOB"):
                skipped = 3 if "CONFIGURE_DEPENDS" in visit.command.words else 2
                found = self.variables.elements(arguments[skipped:], visit.conditions)
                self.variables.set(arguments[1].text, found, visit.conditions)
            case "foreach" if visit.live:
                self._foreach(visit)
            case "unset" if visit.live:
                self.variables.forget(arguments[0].text)
            case "cuda_archs_loose_intersection" | "cuda_archs_sm90plus" if visit.live:
                self._intersect(visit)
            case _:
                pass

    def _set(self, visit: Visit) -> None:
        name, *values = visit.command.arguments
        if visit.live:
            kept = []
            for value in values:
                if value.text in ("CACHE", "PARENT_SCOPE"):
                    break
                kept.append(value)
            texts, under = [value.text for value in kept], visit.conditions
            archs = self.variables.archs(found for text in texts for found in REFERENCE.findall(text))
            if archs:
                self.variables.set_archs(name.text, archs, under)
            elif texts != [f"${{{name.text}}}"]:
                self.variables.set(name.text, self.variables.elements(kept, under), under)
        elif len(values) == 1 and FROM_ENVIRONMENT.fullmatch(values[0].text):
            self.variables.unset_names.add(name.text)

    def _list(self, visit: Visit) -> None:
        verb, *rest = visit.command.arguments
        if not rest:
            return
        name, under = rest[0].text, visit.conditions
        elements = self.variables.elements(rest[1:], under)
        if verb.text in ("APPEND", "PREPEND"):
            self.variables.append(name, elements, under, first=verb.text == "PREPEND")
        elif verb.text == "REMOVE_ITEM":
            self.variables.remove(name, (item.text for item in elements), under)
        elif verb.text not in LIST_CHANGES and len(rest) > 1:
            self.variables.forget(rest[-1].text)  # GET, JOIN, SUBLIST, FIND write to their last argument

    def _foreach(self, visit: Visit) -> None:
        name, *rest = visit.command.arguments
        found: list[Item] = []
        mode = "ITEMS"
        for argument in rest:
            if argument.text in ("IN", "LISTS", "ITEMS", "RANGE", "ZIP_LISTS"):
                mode = argument.text if argument.text != "IN" else mode
            elif mode == "LISTS":
                found += self.variables.items(argument.text) or ()
            else:
                found += self.variables.elements([argument], visit.conditions)
        self.variables.set(name.text, found, visit.conditions)

    def _intersect(self, visit: Visit) -> None:
        """`f(VAR "9.0a;10.0f" "${CUDA_ARCHS}")`: the most VAR can hold; what it holds the machine decides."""
        name, *rest = visit.command.arguments
        wanted = self.variables.elements(rest[:1], visit.conditions) if len(rest) > 1 else ()
        archs = [item.text for item in wanted if ARCH.fullmatch(item.text)]
        self.variables.set_archs(name.text, archs, visit.conditions)


def relative(text: str, folder: str) -> str:
    """A path of the project's files with forward slashes; what only the build knows stays `${NAME}`."""
    start = HERE.match(text)
    if start is not None:
        base = folder if start["which"] == "CURRENT_LIST" else ""
        return posixpath.normpath(posixpath.join(base, text[start.end() :]))
    return text if text.startswith(("$", "/")) else posixpath.normpath(text)
