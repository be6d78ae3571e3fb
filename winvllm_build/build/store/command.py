"""What a compile or link command reads and writes besides its source, as its arguments say."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from winvllm_build.build.engine.edge import Language

DEEPEST: Final = 8
"""Response files within response files."""
MORE_OUTPUTS: Final = re.compile(
    r"-save-temps|--save-temps|-{1,2}keep(-dir)?$|-gsplit-dwarf|-fprofile-(arcs|gen)"
    r"|--coverage|-ftest-coverage|-MJ|-{1,2}time(=|$)|-{1,2}fdevice-time-trace|-ftime-trace|-fstack-usage|-fdump|-fcallgraph-info"
    r"|-aux-info|-dump|-Wl,(-M$|-Map|--dependency-file|--out-implib)|--dependency-file"
)
"""Switches that make a command write files which are not known here."""
HIDDEN_INPUTS: Final = re.compile(
    r"-fprofile-use|-fauto-profile|-fbranch-prob|-fplugin|-specs|--specs|-fmodules|-wrapper|-B."
)
"""Switches that make a command read files which no dependency file lists."""
MSVC_REFUSED: Final = re.compile(
    r"[-/](Z[iI]$|F[aArRm]|doc|sourceDependencies|analyze:|ifc|Y[cu]|Fp|reference|headerUnit"
    r"|experimental:module|clr|FU|AI)"
)
"""Both kinds, for `cl`: shared program databases, precompiled headers, modules, listings."""
LINK_REFUSED: Final = re.compile(
    r"[-/](pdb|manifestfile|ilk|pgd|idlout|map|incremental|ltcgout|profile|assemblydebug|debug)(:|$)",
    re.IGNORECASE,
)
"""What `link` writes beside the library and its import library. CMake always names a program database: no
link is kept on Windows."""
MSVC_PROGRAMS: Final = frozenset({"cl", "clang-cl", "link", "lld-link"})
SEARCH: Final = ("-isystem", "-iquote", "-idirafter", "--include-path", "--system-include", "-I")
MSVC_SEARCH: Final = ("-external:I", "/external:I", "-I", "/I")
WITH_VALUE: Final = frozenset(
    {
        "-o", "--output-file", "-MF", "--dependency-output", "-MT", "-MQ", "-include", "-x", "-Xcompiler",
        "-Xcudafe", "-Xptxas", "-Xlinker", "-arch", "-gencode", "-code", "-ccbin", "-T", "-z", "-D", "-U",
        "-L",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What can be said of a command before it runs.

    Attributes:
        outputs: the files it makes, as it names them, the edge's output first.
        depfile: the dependency file it writes; empty if it writes none.
        shows_includes: it prints what it reads (`cl /showIncludes`).
        search: folders it looks into for headers or libraries, in order.
        libraries: names it looks for in `search` (`cudart` of `-lcudart`).
        words: words that may name files it reads, response files opened.
        refusal: why its result cannot be used again; empty if it can.
    """

    outputs: tuple[str, ...]
    depfile: str = ""
    shows_includes: bool = False
    search: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(slots=True)
class _Reading:
    msvc: bool
    outputs: list[str] = field(default_factory=list)
    depfile: str = ""
    shows_includes: bool = False
    search: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    refusal: str = ""

    def refuse(self, reason: str) -> None:
        self.refusal = self.refusal or reason


def read(
    arguments: Sequence[str],
    language: Language,
    output: str,
    *,
    text_of: Callable[[str], str | None],
    windows: bool = os.name == "nt",
) -> Command:
    """Read a command line.

    Args:
        arguments: program and arguments, without launchers.
        language: what it runs.
        output: the edge's output, relative to the build folder.
        text_of: the content of a response file; None if it cannot be read.
        windows: how response files quote.
    """
    try:
        words = tuple(_opened(arguments, text_of, windows=windows))
    except ValueError as error:
        return Command(outputs=(output,), refusal=str(error))
    state = _Reading(msvc=program_of(words) in MSVC_PROGRAMS)
    take = _take_link if language is Language.LINK else _take_compile
    at = 1
    while at < len(words):
        at += take(words[at], words[at + 1] if at + 1 < len(words) else "", state)
    if language is not Language.LINK and not state.depfile and not state.shows_includes:
        state.refuse("it writes no dependency file")
    if not any(slashed(name) == slashed(output) for name in state.outputs):
        state.refuse("its output is not on its command line")
    return Command(
        outputs=(output, *(name for name in state.outputs if slashed(name) != slashed(output))),
        depfile=state.depfile,
        shows_includes=state.shows_includes,
        search=tuple(dict.fromkeys(state.search)),
        libraries=tuple(dict.fromkeys(state.libraries)),
        words=words,
        refusal=state.refusal,
    )


def program_of(words: Sequence[str]) -> str:
    """The name of the tool that runs; behind `cmake -E vs_link_dll ... --` it is the linker."""
    if "--" in words and "-E" in words[:3]:
        words = words[list(words).index("--") + 1 :]
    name = words[0].replace("\\", "/").rsplit("/", 1)[-1].lower() if words else ""
    return name.removesuffix(".exe")


def _take_compile(word: str, after: str, state: _Reading) -> int:
    """Note what one word says; how many words it takes."""
    if word in ("-o", "--output-file"):
        state.outputs.append(after)
        return 2
    if word in ("-MF", "--dependency-output"):
        state.depfile = after
        return 2
    if switch := next((s for s in (MSVC_SEARCH if state.msvc else SEARCH) if word.startswith(s)), None):
        attached = word[len(switch) :].lstrip("=")
        state.search.append(attached or after)
        return 1 if attached else 2
    _refuse_some(word, state)
    if word.startswith("-MF"):
        state.depfile = word[3:]
    elif state.msvc and word[1:].lower() == "showincludes":
        state.shows_includes = True
    elif state.msvc and word[1:3] == "Fo":
        state.outputs.append(word[3:].lstrip(":") or after)
    elif not state.msvc and word.startswith("-o") and word[2:3] not in ("", "b", "p"):
        state.outputs.append(word[2:])
    return 2 if word in WITH_VALUE else 1


def _refuse_some(word: str, state: _Reading) -> None:
    host = word.removeprefix("-Xcompiler=").split(",") if word.startswith("-Xcompiler=") else []
    if (not state.msvc and MORE_OUTPUTS.match(word)) or any(MORE_OUTPUTS.match(part) for part in host):
        state.refuse(f"{word} writes further files")
    elif not state.msvc and HIDDEN_INPUTS.match(word):
        state.refuse(f"{word} reads files that are not listed")
    elif state.msvc and MSVC_REFUSED.match(word):
        state.refuse(f"{word} reads or writes files that are not listed")
    elif any(MSVC_REFUSED.match(part) for part in host if part.startswith(("-Z", "/Z", "-Y", "/Y"))):
        state.refuse(f"{word} writes files that objects share")


def _take_link(word: str, after: str, state: _Reading) -> int:
    if word == "-o":
        state.outputs.append(after)
        return 2
    if state.msvc and (match := re.match(r"[-/](out|implib):(.+)", word, re.IGNORECASE)):
        state.outputs.append(match[2])
    elif state.msvc and LINK_REFUSED.match(word) and word[1:].lower() != "incremental:no":
        state.refuse(f"{word} writes further files")
    elif state.msvc and (match := re.match(r"[-/]libpath:(.+)", word, re.IGNORECASE)):
        state.search.append(match[1].strip('"'))
    elif not state.msvc and (MORE_OUTPUTS.match(word) or HIDDEN_INPUTS.match(word)):
        state.refuse(f"{word} reads or writes files that are not listed")
    elif word == "-L":
        state.search.append(after)
        return 2
    elif word.startswith("-L"):
        state.search.append(word[2:])
    elif word.startswith("-l") and not state.msvc:
        state.libraries.append(word[2:] or after)
        return 1 if word[2:] else 2
    return 2 if word in WITH_VALUE else 1


def _opened(
    arguments: Sequence[str], text_of: Callable[[str], str | None], *, windows: bool, depth: int = 0
) -> Iterator[str]:
    """The words with each response file's words in its place; its name stays in front of them."""
    take_next = False
    for word in arguments:
        name = word if take_next else word[1:] if word.startswith("@") and len(word) > 1 else ""
        take_next = word in ("--options-file", "-optf")
        if not name:
            yield word
            continue
        text = text_of(name)
        if text is None or depth > DEEPEST:
            raise ValueError(f"the response file {name} cannot be read")
        yield from _opened(_split(text, windows=windows), text_of, windows=windows, depth=depth + 1)


def _split(text: str, *, windows: bool) -> list[str]:
    if not windows:
        return shlex.split(text)
    return [found[0].replace('"', "") for found in re.finditer(r'(?:[^\s"]+|"[^"]*")+', text)]


def slashed(name: str) -> str:
    """The spelling in which names are compared: on Windows CMake has backslashes, ninja slashes."""
    return name.replace("\\", "/").removeprefix("./")
