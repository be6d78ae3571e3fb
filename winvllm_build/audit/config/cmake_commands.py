"""Programs that CMake runs, and names of files, that Windows does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from winvllm_build.audit.config.cmake_view import Placed
from winvllm_build.audit.config.places import Places
from winvllm_build.audit.hit import Hit, State
from winvllm_build.intake.cmake_text import Argument, Quoting

RUN: Final = frozenset({"execute_process", "add_custom_command", "add_custom_target", "add_test"})
POSIX: Final = frozenset(
    ["awk", "basename", "bash", "cat", "chmod", "cp", "cut", "dirname", "env", "find", "grep", "head",
     "install_name_tool", "ldconfig", "ldd", "ln", "lscpu", "make", "mkdir", "mv", "nproc", "objcopy",
     "patch", "patchelf", "readelf", "realpath", "rm", "sed", "sh", "strip", "sysctl", "tail", "test",
     "touch", "tr", "true", "uname", "wc", "which", "xargs"]
)  # fmt: skip
"""`mkdir` is built into cmd.exe, and `find` is another program: neither can be run as meant."""
PLACEHOLDER: Final = re.compile(r"\$\{CMAKE_COMMAND\}|cmake", re.IGNORECASE)
REFERENCE: Final = re.compile(r"\$(?:ENV)?\{")
SHARED_OBJECT: Final = re.compile(r"[\w*}\]-]\.so(?:\.[\d.*]+|\*)?(?=$|[\"'\s;)])")
NAMES_FILES: Final = frozenset(
    {"install", "file", "find_library", "target_link_libraries", "add_custom_command", "set"}
)
PYTHON_LIBRARY: Final = re.compile(
    r"\bpython3\d*\.lib\b|\blibpython3|\bpython3\.\d+\.(?:so|a)\b", re.IGNORECASE
)
LINK_CODE: Final = re.compile(r"CREATE_LINK\b.*SYMBOLIC|\bcreate_symlink\b", re.DOTALL)


def hits(placed: Sequence[Placed], places: Places) -> Iterator[Hit]:
    for one in placed:
        yield from _programs(one, places)
        yield from _environment(one, places)
        yield from _symbolic(one, places)
        yield from _names(one, places)


def _programs(one: Placed, places: Places) -> Iterator[Hit]:
    if one.command.name not in RUN:
        return
    arguments = one.command.arguments
    for index, argument in enumerate(arguments[:-1]):
        if argument.text == "COMMAND" and (program := _program(arguments[index + 1 :])) is not None:
            yield places.at(
                one, "D62", "posix-program", line=program.line, detail=f"{program.text} is not on Windows"
            )


def _program(arguments: Sequence[Argument]) -> Argument | None:
    """The program of a command line, where it is one of POSIX; `cmake -E` does the same everywhere."""
    rest = list(arguments)
    if PLACEHOLDER.fullmatch(rest[0].text):
        words = [argument.text for argument in rest[1:3]]
        if words != ["-E", "env"]:
            return None
        rest = [argument for argument in rest[3:] if "=" not in argument.text]
    return rest[0] if rest and rest[0].text in POSIX else None


def _environment(one: Placed, places: Places) -> Iterator[Hit]:
    """`PYTHONPATH=a;b` without quotes is two arguments; a colon separates nothing on Windows."""
    if one.command.name not in RUN:
        return
    for argument in one.command.arguments:
        name, equals, value = argument.text.partition("=")
        if not equals or not re.fullmatch(r"\w*PATH", name) or not REFERENCE.search(value):
            continue
        if re.search(r"\}[^;]*:[^;]*\$", value):
            yield places.at(one, "D38", "path-with-colons", line=argument.line, detail=name)
        if argument.quoting is Quoting.UNQUOTED:
            yield places.at(one, "D38", "path-unquoted", line=argument.line, detail=name)


def _symbolic(one: Placed, places: Places) -> Iterator[Hit]:
    text = " ".join(one.words)
    if one.command.name in (*RUN, "install", "file") and LINK_CODE.search(text):
        for argument in one.command.arguments:
            offset = LINK_CODE.search(argument.text) or re.search(
                r"^(?:CREATE_LINK|create_symlink)$", argument.text
            )
            if offset is not None:
                line = argument.line + argument.text.count("\n", 0, offset.start())
                yield places.at(one, "D68", "symbolic-link", line=line)
                return


def _names(one: Placed, places: Places) -> Iterator[Hit]:
    for argument in one.command.arguments:
        if PYTHON_LIBRARY.search(argument.text):
            yield places.at(one, "D32", "python-library", line=argument.line, detail=argument.text)
        if one.command.name in NAMES_FILES and (found := SHARED_OBJECT.search(argument.text)) is not None:
            line = argument.line + argument.text.count("\n", 0, found.start())
            state = State.DEAD if re.search(r"hip|rocm", argument.text, re.IGNORECASE) else one.state
            yield places.at(one, "D63", "shared-object", line=line, state=state, detail=argument.text[:80])
