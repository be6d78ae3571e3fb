"""What a build with cl.exe has to be told and is not: options, and the libraries that a target calls."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from winvllm_build.audit.config.cmake_view import Placed
from winvllm_build.audit.config.places import Places
from winvllm_build.audit.hit import Hit, State

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parents[1] / "data" / "msvc_options.toml"
TELLS: Final = re.compile(
    r"(?:target|add)_compile_(?:options|definitions)|add_definitions|set|list|string|set_property|set_\w+_properties"
)
DEVICE: Final = re.compile(r"\.cu$|^CUDA$|^\$\{VLLM_GPU_LANG\}$")
SOURCE: Final = re.compile(r"[\w./-]+\.(?:cu|cpp|cc)")
VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
CALL: Final = re.compile(r"\bcublas(?:Lt)?[A-Z]\w*\s*\(")
LIBRARIES: Final = frozenset({"add_library", "python_add_library", "pybind11_add_module"})
LIBRARY: Final = re.compile(r"cublas", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One option."""

    hazard: str
    option: str
    met: tuple[re.Pattern[str], ...]


@cache
def wanted() -> tuple[Wanted, ...]:
    return tuple(
        Wanted(hazard=one["hazard"], option=one["option"], met=tuple(map(re.compile, one["met"])))
        for one in tomllib.loads(FILE.read_text("utf-8"))["option"]
    )


def hits(placed: Sequence[Placed], places: Places) -> Iterator[Hit]:
    targets = [one for one in placed if _is_target(one) and one.state is State.LIVE]
    device = [one for one in targets if any(DEVICE.search(word) for word in one.words)]
    if device:
        yield from _options(placed, device[0], places)
    yield from _libraries(placed, targets, places)


def _options(placed: Sequence[Placed], target: Placed, places: Places) -> Iterator[Hit]:
    """One hit for each option, at the first CUDA target; guarded where a condition on Windows gives it."""
    told = [one for one in placed if one.state is State.LIVE and TELLS.fullmatch(one.command.name)]
    for one in wanted():
        giving = [by for by in told if any(met.search(word) for met in one.met for word in by.words)]
        if not giving:
            yield places.at(target, one.hazard, "option-missing", detail=f"{one.option} is nowhere given")
        elif all(by.windows for by in giving):
            where = f"{giving[0].file}:{giving[0].command.line}"
            yield places.at(
                target, one.hazard, "option-missing", state=State.GUARDED,
                detail=f"{one.option} is given by {where}",
            )  # fmt: skip


def _libraries(placed: Sequence[Placed], targets: Sequence[Placed], places: Places) -> Iterator[Hit]:
    """A target with a source that calls cuBLAS, and without the library: a DLL resolves all at once."""
    lists = _lists(placed)
    sources = [(target, _sources(target.words, lists)) for target in targets]
    places.files.fetch([path for _, paths in sources for path in paths])
    for target, paths in sources:
        calling = [path for path in paths if _calls(path, places)]
        if not calling:
            continue
        name = target.words[0]
        linked = [
            one
            for one in placed
            if one.state is State.LIVE and one.words[:1] == (name,) and _links(one, lists)
            and (one.command.name == "target_link_libraries" or one is target)
        ]  # fmt: skip
        if all(one.windows for one in linked):
            yield places.at(
                target, "D23", "library-missing", state=State.GUARDED if linked else State.LIVE,
                detail=f"{calling[0]} calls cuBLAS",
            )  # fmt: skip


def _links(one: Placed, lists: Mapping[str, Sequence[str]]) -> bool:
    words = [
        *one.words,
        *(word for name in VARIABLE.findall(" ".join(one.words)) for word in lists.get(name, ())),
    ]
    return any(LIBRARY.search(word) and not SOURCE.search(word) for word in words)


def _calls(path: str, places: Places) -> bool:
    return CALL.search(places.files.text(path) or "") is not None


def _is_target(one: Placed) -> bool:
    name = one.command.name
    defines = name.endswith("extension_target") or name in LIBRARIES
    return defines and bool(one.words) and not one.function


def _lists(placed: Sequence[Placed]) -> Mapping[str, Sequence[str]]:
    """What variables can hold, all branches together."""
    found: dict[str, list[str]] = {}
    for one in placed:
        if one.state is not State.LIVE:
            continue
        match one.command.name, one.words:
            case "set", (name, *values):
                found.setdefault(name, []).extend(values)
            case "list", ("APPEND" | "PREPEND", name, *values):
                found.setdefault(name, []).extend(values)
            case _:
                pass
    return found


def _sources(words: Sequence[str], lists: Mapping[str, Sequence[str]], depth: int = 3) -> list[str]:
    found = []
    for word in words:
        for piece in word.split(";"):
            reference = VARIABLE.fullmatch(piece)
            if reference is not None and depth:
                found += _sources(lists.get(reference[1], ()), lists, depth - 1)
            elif SOURCE.fullmatch(piece):
                found.append(piece)
    return list(dict.fromkeys(found))
