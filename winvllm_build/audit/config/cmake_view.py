"""The commands of a tree's CMake files, each with what the conditions around it make of it for MSVC."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from winvllm_build.audit.config.cmake_world import LINUX, UNSAID, WINDOWS
from winvllm_build.audit.config.ternary import Answer, every, negated, some
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind, Reach, State
from winvllm_build.errors import SourceError
from winvllm_build.intake.cmake_conditions import words
from winvllm_build.intake.cmake_run import TOP, relative
from winvllm_build.intake.cmake_text import Argument, Command, commands

WORLDS: Final = (WINDOWS, UNSAID, LINUX)
DEEPEST: Final = 8
LEFT_OUT: Final = ("tests/", "docs/", "examples/", "benchmarks/", "docker/")
ORDER: Final = {State.LIVE: 0, State.GUARDED: 1, State.DEAD: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """One command.

    Attributes:
        command: as it stands.
        file: where.
        state: whether CMake with MSVC runs it.
        reach: CORNER in a file that no other includes.
        conditions: those it stands under, as written.
        windows: it stands under a condition that holds on Windows alone.
        certain: on Windows it is always run.
        function: the function or macro whose body it is in; empty for none.
    """

    command: Command
    file: str
    state: State
    reach: Reach
    conditions: tuple[str, ...]
    windows: bool
    certain: bool
    function: str

    @property
    def words(self) -> tuple[str, ...]:
        return self.command.words


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All of them, in the order of the reading, and the files that could not be read."""

    placed: tuple[Placed, ...]
    blind: tuple[Blind, ...]
    files: int
    lines: int


@dataclass(slots=True)
class _Frame:
    """An open `if`, or what is behind a `return`: for each world whether this branch is run."""

    text: str = ""
    here: list[Answer] = field(default_factory=lambda: [True] * len(WORLDS))
    before: list[Answer] = field(default_factory=lambda: [False] * len(WORLDS))

    def enter(self, arguments: Sequence[Argument], learned: Mapping[str, str]) -> None:
        """The next branch; without arguments the `else`.

        Args:
            arguments: of the `if` or `elseif`.
            learned: variables that conditions on Windows have set.
        """
        self.text = words(arguments) if arguments else f"not ({self.text})"
        for index, world in enumerate(WORLDS):
            answer: Answer = True
            if arguments:
                answer = (world.knowing(learned) if world is WINDOWS else world).decide(arguments)
            earlier = self.before[index]
            self.here[index] = every((negated(earlier), answer))
            self.before[index] = some((earlier, answer))


@dataclass(slots=True, kw_only=True)
class _Scope:
    """Where a file's reading is: what includes it, what is behind a `return`, the open conditions."""

    outer: tuple[_Frame, ...]
    rest: list[_Frame] = field(default_factory=list)
    open: list[_Frame] = field(default_factory=list)
    function: str = ""
    _kept: list[_Frame] = field(default_factory=list)

    @property
    def frames(self) -> tuple[_Frame, ...]:
        return (*self.outer, *self.rest, *self.open)

    def enter(self, function: str) -> None:
        """Into a body, or with an empty name out of it: a `return` inside ends the body alone."""
        if function:
            self._kept = list(self.rest)
        else:
            self.rest = self._kept
        self.function = function


class Reader:
    """Reads from the top file on, `include` followed; then the files that nothing includes."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._found: dict[str, list[Placed]] = {}
        self._states: dict[str, State] = {}
        self._blind: list[Blind] = []
        self._lines = 0
        self._learned: dict[str, str] = {}
        """What `set` says under a condition on Windows, until another command names the variable."""

    def view(self) -> View:
        names = [name for name in self._files.names if _is_cmake(name)]
        self._files.fetch(names)
        if TOP in self._files:
            self._read(TOP, (), Reach.BUILD, 0)
        for name in names:
            if name not in self._states:
                self._read(name, (), Reach.CORNER if TOP in self._files else Reach.BUILD, 0)
        placed = [one for found in self._found.values() for one in found]
        return View(
            placed=tuple(_called(placed)),
            blind=tuple(self._blind),
            files=len(self._states),
            lines=self._lines,
        )

    def _read(self, file: str, outer: tuple[_Frame, ...], reach: Reach, depth: int) -> None:
        state = _state(outer)
        known = self._states.get(file)
        if depth > DEEPEST or (known is not None and ORDER[known] <= ORDER[state]):
            return
        self._states[file] = state
        text = self._files.text(file) or ""
        if known is None:
            self._lines += text.count("\n")
        try:
            parsed = commands(text, file)
        except SourceError as error:
            self._blind.append(Blind(path=file, why=str(error)))
            return
        self._found[file] = []
        self._walk(parsed, file, outer, reach, depth)

    def _walk(
        self, parsed: Iterable[Command], file: str, outer: tuple[_Frame, ...], reach: Reach, depth: int
    ) -> None:
        scope = _Scope(outer=outer)
        for command in parsed:
            match command.name:
                case "if":
                    scope.open.append(_Frame())
                    scope.open[-1].enter(command.arguments, self._learned)
                case "elseif" | "else" if scope.open:
                    scope.open[-1].enter(command.arguments if command.name == "elseif" else (), self._learned)
                case "endif" if scope.open:
                    scope.open.pop()
                case "function" | "macro":
                    scope.enter(command.arguments[0].text.lower() if command.arguments else "?")
                case "endfunction" | "endmacro":
                    scope.enter("")
                case _:
                    frames = scope.frames
                    here = _placed(command, file, frames, reach, scope.function)
                    self._found[file].append(here)
                    self._learn(here)
                    if command.name == "include" and command.arguments:
                        self._include(command, file, frames, reach, depth)
                    if command.name == "return":
                        scope.rest.append(_behind(scope.open))

    def _learn(self, placed: Placed) -> None:
        if placed.state is not State.LIVE or not placed.words:
            return
        name, *values = placed.words
        if placed.command.name == "set" and placed.windows and placed.certain and len(values) <= 1:
            self._learned[name] = "".join(values)
            return
        for word in placed.words[:2]:
            self._learned.pop(word, None)

    def _include(
        self, command: Command, file: str, frames: Sequence[_Frame], reach: Reach, depth: int
    ) -> None:
        found = relative(command.arguments[0].text, posixpath.dirname(file))
        if found in self._files:
            self._read(found, tuple(_copy(frame) for frame in frames), reach, depth + 1)


def _is_cmake(name: str) -> bool:
    return (name.endswith(".cmake") or posixpath.basename(name) == TOP) and not name.startswith(LEFT_OUT)


def _placed(command: Command, file: str, frames: Sequence[_Frame], reach: Reach, function: str) -> Placed:
    on_windows = [frame.here[0] for frame in frames]
    on_linux = [frame.here[2] for frame in frames]
    return Placed(
        command=command, file=file, state=_state(frames), reach=reach, function=function,
        conditions=tuple(frame.text for frame in frames if frame.text),
        windows=False not in on_windows and False in on_linux, certain=all(on_windows),
    )  # fmt: skip


def _state(frames: Iterable[_Frame]) -> State:
    """The outermost condition that does not hold for MSVC tells why it does not."""
    for frame in frames:
        if frame.here[0] is False:
            return State.DEAD if frame.here[1] is False else State.GUARDED
    return State.LIVE


def _behind(inner: Sequence[_Frame]) -> _Frame:
    """What a `return` makes of the rest of its file: it is run where the return is not."""
    frame = _Frame(text="return")
    for index in range(len(WORLDS)):
        frame.here[index] = negated(every(one.here[index] for one in inner))
    return frame


def _copy(frame: _Frame) -> _Frame:
    return _Frame(text=frame.text, here=list(frame.here), before=list(frame.before))


def _called(placed: Sequence[Placed]) -> list[Placed]:
    """A function's body is run where it is called; what nobody calls stays as it is."""
    found = list(placed)
    for _ in range(DEEPEST):
        calls: dict[str, State] = {}
        for one in found:
            name = one.command.name
            if name != one.function:
                calls[name] = min(calls.get(name, State.DEAD), one.state, key=lambda state: ORDER[state])
        after = [
            replace(one, state=max(one.state, calls.get(one.function, State.LIVE), key=lambda s: ORDER[s]))
            for one in found
        ]
        if after == found:
            break
        found = after
    return found
