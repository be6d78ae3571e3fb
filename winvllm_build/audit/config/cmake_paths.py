"""Paths in CMake: backslashes, lengths, semicolons; and what the build is made for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from winvllm_build.audit.config.cmake_view import Placed
from winvllm_build.audit.config.places import Places
from winvllm_build.audit.hit import Hit, Reach, State
from winvllm_build.intake.cmake_text import Quoting

FROM_ENVIRONMENT: Final = re.compile(r"\$ENV\{(\w*(?:DIR|HOME|PATH|ROOT|FOLDER)\w*)\}")
WHOLE: Final = re.compile(r"\$\{(\w+)\}")
PATH_LIKE: Final = re.compile(r"\$\{(\w*(?:EXECUTABLE|DIR|PATH|ROOT|HOME))\}")
GIVEN: Final = re.compile(r"VLLM_\w+|FETCHCONTENT_\w+")
"""Variables that `-D` sets: nothing has turned their backslashes."""
NESTED: Final = re.compile(r"flash.?mla|flash.?kda|deep.?gemm|flash.attention|qutlass|MSA\b", re.IGNORECASE)
"""Repositories that bring CUTLASS along: its longest path has 164 characters, and theirs comes before it."""
LONGEST: Final = 171
"""Characters: 259, less a user's `site-packages` below `AppData\\Local`, where the user's name has 20."""
NEW_ARCH: Final = re.compile(r"(?:^|[;\s\"])(1[0-9]\.\d)[af]?")
ARCH_LISTS: Final = re.compile(r"CUDA_SUPPORTED_ARCHS|CMAKE_CUDA_ARCHITECTURES")
TOOLKIT: Final = re.compile(r"VERSION")


def hits(placed: Sequence[Placed], places: Places) -> Iterator[Hit]:
    macros = {one.function for one in placed if one.function}
    turned = _turned(placed)
    for one in placed:
        yield from _backslashes(one, turned, macros, places)
        yield from _one_path(one, places)
        yield from _nested(one, places)
        yield from _archs(one, places)
        yield from _device(one, places)


def long_names(places: Places) -> Iterator[Hit]:
    """Files that pip cannot unpack below an ordinary user's folder without long paths."""
    for name in places.files.names:
        if len(name) > LONGEST and not name.startswith(("tests/", "docs/", "examples/", "benchmarks/")):
            yield places.hit("D41", "long-name", name, 1, detail=f"{len(name)} characters")


def _turned(placed: Sequence[Placed]) -> frozenset[str]:
    """The variables whose backslashes a command turns, by name or in a loop over their names."""
    found: set[str] = set()
    copies: dict[str, str] = {}
    loop: tuple[str, ...] = ()
    for one in placed:
        if one.state is not State.LIVE:
            continue
        match one.command.name, one.words:
            case "foreach", words:
                loop = words
            case "endforeach", _:
                loop = ()
            case "set", (name, value, *_) if (of := WHOLE.fullmatch(value)) is not None:
                copies[name] = of[1]
            case "cmake_path", ("SET" | "CONVERT" | "ABSOLUTE_PATH" | "NORMAL_PATH", name, *_):
                found |= {name, copies.get(name, name)}
            case "file", ("TO_CMAKE_PATH", *words):
                text = " ".join(words)
                found.update(re.findall(r"\{(\w+)\}", text))
                if loop and f"${{{loop[0]}}}" in text:
                    found.update(loop[1:])
            case _:
                pass
    return frozenset(found)


def _backslashes(one: Placed, turned: frozenset[str], macros: set[str], places: Places) -> Iterator[Hit]:
    """What a user's variable holds gets into generated files, or into the text of a macro."""
    arguments = one.command.arguments
    if one.command.name == "set" and len(arguments) > 1:
        for argument in arguments[1:]:
            found = FROM_ENVIRONMENT.fullmatch(argument.text)
            if found is not None:
                yield _guarded(one, found[1] in turned, "path-from-environment", found[1], places)
    elif one.command.name in macros:
        for argument in arguments:
            found = PATH_LIKE.fullmatch(argument.text)
            if found is not None and GIVEN.fullmatch(found[1]):
                yield _guarded(one, found[1] in turned, "path-into-macro", found[1], places)


def _guarded(one: Placed, met: bool, rule: str, name: str, places: Places) -> Hit:  # noqa: FBT001 - one fact
    state = State.GUARDED if met and one.state is State.LIVE else one.state
    return places.at(one, "D42", rule, state=state, detail=name)


def _one_path(one: Placed, places: Places) -> Iterator[Hit]:
    """`file(REAL_PATH ${X} X)`: Windows allows a semicolon in a file's name, and CMake cuts there."""
    if one.command.name == "file" and one.words[:1] == ("REAL_PATH",) and len(one.words) > 1:
        argument = one.command.arguments[1]
        if argument.quoting is Quoting.UNQUOTED and argument.text.startswith("${"):
            yield places.at(one, "D30", "path-unquoted", line=argument.line, detail=argument.text)


def _nested(one: Placed, places: Places) -> Iterator[Hit]:
    if (
        one.command.name in ("fetchcontent_declare", "fetchcontent_populate")
        and "GIT_REPOSITORY" in one.words[:-1]
    ):
        where = one.words.index("GIT_REPOSITORY") + 1
        if NESTED.search(f"{one.words[0]} {one.words[where]}"):
            yield places.at(one, "D41", "nested-cutlass", detail=one.words[0])


def _archs(one: Placed, places: Places) -> Iterator[Hit]:
    """A list of architectures with new ones in it, whatever the toolkit."""
    if one.command.name != "set" or not ARCH_LISTS.search(" ".join(one.words[:1])):
        return
    found = NEW_ARCH.findall(" ".join(one.words[1:]))
    if found and not any(TOOLKIT.search(condition) for condition in one.conditions):
        yield places.at(one, "D33", "arch-for-any-toolkit", detail=" ".join(found))


def _device(one: Placed, places: Places) -> Iterator[Hit]:
    if one.command.name == "enable_language" and "HIP" in one.words:
        yield places.at(one, "D40", "hip-language")
    if one.command.name == "message" and one.words[:1] == ("FATAL_ERROR",) and one.certain and _is_gate(one):
        yield places.at(one, "D60", "configure-gate", detail=" ".join(one.words[1:])[:80])


def _is_gate(one: Placed) -> bool:
    return one.windows and one.reach is Reach.BUILD
