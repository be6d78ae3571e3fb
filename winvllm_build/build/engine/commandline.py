"""What a command line alone says of an edge, for edges that nobody listed."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Final

from winvllm_build.build.engine.edge import Edge, Language, Roots, work_key

SOURCE: Final = re.compile(r"(?i)\.(cu|cpp|cc|cxx|c)$")
GLUED: Final = re.compile(r"^[-/](?:Fo|(?i:out):)(.+)$")
"""How cl.exe and link.exe are told; `-o` is nvcc's and everybody's elsewhere."""
EXECUTED: Final = 2
"""Where the command of `cmake -E` stands."""
MANIFEST: Final = re.compile(r"(?i)[-/]manifest(?:input)?(?::|$)")
WINDOWS: Final = os.name == "nt"
SCRIPT: Final = "launcher.pyc"


def output_of(command: Sequence[str], folder: str = "", *, windows: bool = WINDOWS) -> str:
    """The file that a compiler or linker makes, relative to `folder` if it lies there; empty if unknown."""
    for at, word in enumerate(command):
        glued = GLUED.match(word) if windows else None
        found = ""
        if word == "-o" and at + 1 < len(command):
            found = command[at + 1]
        elif glued is not None:
            found = glued[1]
        if found:
            return _relative(found, folder, windows=windows)
    return ""


def edge_of(command: Sequence[str], folder: str) -> Edge:
    """An edge from its command alone; it has no target, and its key is good for this folder only."""
    output = output_of(command, folder)
    sources = [word for word in command if SOURCE.search(word)]
    compiles = any(word in {"-c", "/c", "-dc"} for word in command)
    if not compiles:
        language = Language.LINK
    elif any(word.lower().endswith(".cu") for word in sources) or "nvcc" in PurePath(command[0]).name:
        language = Language.CUDA
    else:
        language = Language.CXX
    return Edge(
        output=output,
        target="",
        language=language,
        source=sources[-1] if sources and compiles else "",
        gencodes=(),
        arguments=tuple(command),
        key=work_key(tuple(command), Roots(folders={}), folder),
    )


def wrapped(words: Sequence[str]) -> int:
    """Where the linker's own command begins: behind `cmake -E vs_link_dll ... --`, else at 0."""
    around = len(words) > EXECUTED and words[1] == "-E" and words[2].startswith("vs_link_") and "--" in words
    return list(words).index("--") + 1 if around else 0


def is_same(command: Sequence[str], listed: Sequence[str]) -> bool:
    """Whether a command is the listed one, quoting aside: CMake may have written another since then.

    Of a link on Windows CMake's wrapper is listed, which gives the linker words about manifests, too.
    """
    if any(word.startswith("@") for word in command):  # listed with what the response file holds
        return True
    plain = str.maketrans("", "", "\"'\\ ")
    if at := wrapped(listed):
        command, listed = ([w for w in some if not MANIFEST.match(w)] for some in (command, listed[at:]))
    return "".join(command).translate(plain) == "".join(listed).translate(plain)


def without_launcher(command: str) -> str:
    """A command line of the compilation database, the gate's launcher taken off."""
    at = command.find(SCRIPT)
    if at < 0:
        return command
    return command[at + len(SCRIPT) :].lstrip('" ')


def _relative(name: str, folder: str, *, windows: bool) -> str:
    path = PureWindowsPath(name) if windows else PurePosixPath(name)
    if folder and path.is_absolute():
        try:
            return path.relative_to(folder).as_posix()
        except ValueError:
            return name
    return name.replace("\\", "/") if windows else name
