"""Compiler and linker options as CMake commands give them, and which program gets each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.audit.config.cmake_view import Placed
from winvllm_build.intake.cmake_text import Argument

COMPILE: Final = frozenset({"target_compile_options", "add_compile_options"})
LINK: Final = frozenset(
    {"target_link_options", "add_link_options", "target_link_libraries", "link_libraries"}
)
PROPERTIES: Final = frozenset({"set_source_files_properties", "set_target_properties", "set_property"})
VARIABLE: Final = re.compile(r"FLAGS|OPTIONS")
OF_LINKER: Final = re.compile(r"LINK")
OF_CUDA: Final = re.compile(r"CUDA|NVCC|GPU")
OF_OTHERS: Final = re.compile(r"HIP|ROCM|FORTRAN|RUST")
MARK: Final = "\x1f"
PIECE: Final = re.compile(rf"\$<|>|:|[\s;]+|{MARK}|[^$<>:\s;{MARK}]+|[$<]")


class Program(Enum):
    """Who reads an option."""

    CL = "cl.exe"
    NVCC = "nvcc"
    LINK = "link.exe"
    BOTH = "cl.exe and nvcc"
    OTHER = "another compiler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option; `genex` are the conditions of the generator expressions around it."""

    text: str
    line: int
    program: Program
    genex: tuple[str, ...]
    placed: Placed


def options(placed: Sequence[Placed]) -> Iterator[Option]:
    """Every option of all commands, in their order."""
    languages = _languages(placed)
    for one in placed:
        found = _given(one, languages)
        if found is None:
            continue
        program, arguments = found
        for text, line, genex in pieces(arguments):
            if text.startswith(("-", "/")):
                yield Option(text=text, line=line, program=_narrowed(program, genex), genex=genex, placed=one)


def pieces(arguments: Iterable[Argument]) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """The words of arguments, each with its line and the generator expressions it stands in."""
    given = list(arguments)
    words = _Words(MARK.join(argument.text for argument in given))
    words.body(())
    for text, index, genex in words.found:
        yield text, given[index].line, genex


class _Words:
    """A reading of arguments that generator expressions go across: `$<$<COMPILE_LANGUAGE:CXX>:-a -b>`."""

    def __init__(self, text: str) -> None:
        self._pieces = PIECE.findall(text)
        self._at = 0
        self._index = 0
        self.found: list[tuple[str, int, tuple[str, ...]]] = []

    def body(self, genex: tuple[str, ...]) -> None:
        """Words until the expression ends."""
        word = ""
        for piece in self._rest():
            if piece == "$<":
                condition, goes_on = self._condition()
                if goes_on:
                    self.body((*genex, condition))
            elif (piece == ">" and genex) or piece == MARK or not piece.strip("; \t\r\n"):
                if word:
                    self.found.append((word, self._index, genex))
                word = ""
                self._index += piece == MARK
                if piece == ">":
                    return
            else:
                word += piece
        if word:
            self.found.append((word, self._index, genex))

    def _condition(self) -> tuple[str, bool]:
        """The text before the colon that ends it; False where the expression has no such colon."""
        text = ""
        for piece in self._rest():
            if piece == "$<":
                text += f"$<{self._value()}>"
            elif piece == ":" and not re.fullmatch(r"[A-Z_]+", text):
                return text, True
            elif piece == ">":
                break
            else:
                text += piece
        return text, False

    def _value(self) -> str:
        text = ""
        for piece in self._rest():
            if piece == ">":
                break
            text += f"$<{self._value()}>" if piece == "$<" else piece
        return text

    def _rest(self) -> Iterator[str]:
        while self._at < len(self._pieces):
            self._at += 1
            yield self._pieces[self._at - 1]


def _given(placed: Placed, languages: Mapping[str, Program]) -> tuple[Program, Sequence[Argument]] | None:
    """The arguments of a command that are options, and who reads them."""
    name, arguments = placed.command.name, placed.command.arguments
    first = [argument.text for argument in arguments[:2]]
    match name:
        case "target_compile_options" | "add_compile_options":
            return Program.BOTH, arguments
        case "target_link_options" | "add_link_options" | "target_link_libraries" | "link_libraries":
            return Program.LINK, arguments
        case "set_source_files_properties" | "set_target_properties" | "set_property":
            return _property(arguments)
        case "set" if first:
            return _variable(first[0], arguments[1:], languages)
        case "list" | "string" if first[1:] and first[0] in ("APPEND", "PREPEND"):
            return _variable(first[1], arguments[2:], languages)
        case _:
            return _target(arguments) if name.endswith("extension_target") else None


def _property(arguments: Sequence[Argument]) -> tuple[Program, Sequence[Argument]] | None:
    for index, argument in enumerate(arguments):
        if argument.text in ("COMPILE_FLAGS", "COMPILE_OPTIONS", "LINK_FLAGS", "LINK_OPTIONS"):
            linker = argument.text.startswith("LINK")
            sources = " ".join(one.text for one in arguments[:index])
            device = ".cu" in sources or "_CU" in sources or OF_CUDA.search(sources.upper())
            return (
                Program.LINK if linker else Program.NVCC if device else Program.BOTH, arguments[index + 1 :]
            )  # fmt: skip
    return None


def _variable(
    name: str, values: Sequence[Argument], languages: Mapping[str, Program]
) -> tuple[Program, Sequence[Argument]] | None:
    if not VARIABLE.search(name):
        return None
    if OF_LINKER.search(name):
        return Program.LINK, values
    if OF_OTHERS.search(name):
        return Program.OTHER, values
    return languages.get(name, Program.NVCC if OF_CUDA.search(name) else Program.CL), values


def _target(arguments: Sequence[Argument]) -> tuple[Program, Sequence[Argument]] | None:
    found: list[Argument] = []
    inside = False
    for argument in arguments:
        if re.fullmatch(r"[A-Z_]{4,}", argument.text):
            inside = argument.text == "COMPILE_FLAGS"
        elif inside:
            found.append(argument)
    return (_language([argument.text for argument in arguments]), found) if found else None


def _languages(placed: Sequence[Placed]) -> Mapping[str, Program]:
    """Variables by the targets that take their options from them."""
    found: dict[str, Program] = {}
    for one in placed:
        given = _target(one.command.arguments) if one.command.name.endswith("extension_target") else None
        if given is not None:
            for argument in given[1]:
                for name in re.findall(r"\$\{(\w+)\}", argument.text):
                    found[name] = given[0]
    return found


def _language(words: Sequence[str]) -> Program:
    language = words[words.index("LANGUAGE") + 1] if "LANGUAGE" in words[:-1] else ""
    return Program.CL if language in ("CXX", "C") else Program.NVCC


def _narrowed(program: Program, genex: Iterable[str]) -> Program:
    for text in genex:
        languages = re.findall(r"COMPILE_LANGUAGE:([\w,${}]+)", text)
        if any(OF_OTHERS.search(language) for language in languages):
            return Program.OTHER
        if any("CUDA" in language for language in languages):
            return Program.NVCC
        if languages:
            return Program.CL
    return program
