"""Options in the words of GCC that reach cl.exe or link.exe, and folders that blanks cut in two."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from winvllm_build.audit.config.cmake_options import Option, Program, options
from winvllm_build.audit.config.cmake_view import Placed
from winvllm_build.audit.config.places import Places
from winvllm_build.audit.hit import Hit, State

REFUSED: Final = re.compile(r"[-/]W(?!all$|X$|L$|p64$|\d$|v:|d\d|e\d|o\d|\d\d)\S+")
"""`D8021: invalid numeric argument`: cl.exe takes a word after `-W` for a level."""
IGNORED: Final = re.compile(
    r"-f(?!p:|avor:|sanitize=|orceInterlocked)[\w-]\S*|-m\w\S*|-O(?:3|fast|g|s)|-std=\S+|-g(?:\d|gdb\d?)?|-pthread"
    r"|-shared|-rdynamic|-static(?:-lib\S+)?|-pipe|-isystem\S*|-iquote\S*|-idirafter\S*"
)
"""`D9002: ignoring unknown option`."""
LINKER: Final = re.compile(
    r"-Wl,\S+|-shared|-rdynamic|-pthread|-static(?:-lib\S+)?|-l\w\S*|-L\S+|-f\S+|-z\S*|-s$"
)
"""`LNK4044: unrecognized option; ignored`."""
FOLDER: Final = re.compile(r"(-I|/I|-L|/LIBPATH:)\"?\$(?:ENV)?\{")
COMPILERS: Final = re.compile(r"CXX_COMPILER_ID:([\w,]+)|CXX_COMPILER_ID,([\w,]+)")


def hits(placed: Sequence[Placed], places: Places) -> Iterator[Hit]:
    for option in options(placed):
        for text in _of_host(option):
            rule = _rule(option.program, text)
            if rule is not None:
                hazard, name, detail = rule
                yield places.at(
                    option.placed,
                    hazard,
                    name,
                    line=option.line,
                    state=_state(option),
                    detail=f"{text}: {detail}",
                )
        if FOLDER.match(option.text) and _is_string(option.placed):
            yield places.at(
                option.placed, "D30", "include-in-flags", line=option.line, state=_state(option),
                detail=f"{option.text} is cut at each blank of the folder",
            )  # fmt: skip


def _of_host(option: Option) -> Iterator[str]:
    """What cl.exe or link.exe gets of an option; nvcc hands on what stands behind `-Xcompiler`."""
    match option.program:
        case Program.CL | Program.BOTH | Program.LINK:
            yield option.text
        case Program.NVCC:
            handed = re.match(r"(?:-Xcompiler|--compiler-options)[=,](.+)", option.text)
            if handed is not None:
                yield from handed[1].split(",")
        case Program.OTHER:
            return


def _rule(program: Program, text: str) -> tuple[str, str, str] | None:
    if program is Program.LINK:
        return ("D31", "gnu-linker-option", "LNK4044") if LINKER.fullmatch(text) else None
    if text.startswith("-Wl,") or REFUSED.fullmatch(text):
        return "D31", "gnu-warning-option", "D8021"
    return ("D67", "gnu-option", "D9002") if IGNORED.fullmatch(text) else None


def _state(option: Option) -> State:
    """Generator expressions on the compiler count as conditions do."""
    if option.program is Program.OTHER:
        return State.DEAD
    for text in option.genex:
        named = [name for found in COMPILERS.findall(text) for name in found if name]
        if named and ("MSVC" in "".join(named)) == ("NOT" in text):
            return State.GUARDED if "MSVC" in "".join(named) else State.DEAD
    return option.placed.state


def _is_string(placed: Placed) -> bool:
    """Whether the options end as one string, cut at blanks: what a variable of flags holds."""
    words = placed.words
    if placed.command.name == "set":
        return bool(words) and words[0].startswith("CMAKE_")
    if placed.command.name == "string":
        return True
    return "COMPILE_FLAGS" in words or "LINK_FLAGS" in words
