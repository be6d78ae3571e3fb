"""Requirements that leave Windows out, or that Windows cannot meet."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from winvllm_build.audit.config.places import Places
from winvllm_build.audit.config.wheels import ENVIRONMENTS, Kind, Wheels, read
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind, Found, Hit, Reach, State

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER: Final = "requirements"
PROJECT: Final = "pyproject.toml"
INCLUDED: Final = re.compile(r"(?:-r|--requirement|-c|--constraint)[ =]?\s*(\S+)")
STARTS: Final = ("requirements/cuda.txt", "requirements/build.txt", "requirements/build/cuda.txt",
                 "requirements/build/rust.txt")  # fmt: skip
"""The lists of a build for CUDA; what they include counts, too."""
OTHERS: Final = re.compile(r"rocm|xpu|tpu|cpu|hpu|neuron|rock")
PINNED: Final = re.compile(r"===?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One requirement as it stands in a list."""

    path: str
    line: int
    text: str


def scan(files: Files) -> Found:
    places = Places(files)
    paths = [path for path in files.below(FOLDER) if path.endswith((".txt", ".in"))]
    files.fetch([*paths, PROJECT])
    reached = _reached(files)
    hits: list[Hit] = []
    blind: list[Blind] = []
    for path in paths:
        reach = Reach.BUILD if path in reached else Reach.CORNER
        for line in _lines(path, files.text(path) or ""):
            hits += _hits(line, reach, blind, places)
    for line in _project(files, blind):
        hits += _hits(line, Reach.BUILD, blind, places)
    read_files = [*paths, *([PROJECT] if PROJECT in files else [])]
    lines = sum((files.text(path) or "").count("\n") for path in read_files)
    return Found(hits=tuple(hits), blind=tuple(blind), files=len(read_files), lines=lines)


def _reached(files: Files) -> set[str]:
    """The lists that a build for CUDA reads."""
    found: set[str] = set()
    waiting = [path for path in STARTS if path in files]
    while waiting:
        path = waiting.pop()
        if path in found or path not in files:
            continue
        found.add(path)
        named = re.finditer(rf"^\s*{INCLUDED.pattern}", files.text(path) or "", re.MULTILINE)
        folder = posixpath.dirname(path)
        waiting += [posixpath.normpath(posixpath.join(folder, match[1])) for match in named]
    return found


def _lines(path: str, text: str) -> Iterator[Line]:
    """Requirements without comments; a backslash at the end continues one."""
    number, parts = 0, list[str]()
    for index, raw in enumerate(text.split("\n"), 1):
        number = number if parts else index
        bare = re.sub(r"(?:^|\s+)#.*", "", raw).strip()
        if bare.endswith("\\"):
            parts.append(bare[:-1])
            continue
        whole = re.sub(r"\s+--hash\S+", "", " ".join([*parts, bare])).strip()
        parts = []
        if whole and not whole.startswith("-"):
            yield Line(path=path, line=number, text=whole)


def _project(files: Files, blind: list[Blind]) -> Iterator[Line]:
    """What pyproject.toml asks for, to build and to run."""
    text = files.text(PROJECT)
    if text is None:
        return
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        blind.append(Blind(path=PROJECT, why=f"not TOML: {error}"))
        return
    asked = [*_texts(content, "build-system", "requires"), *_texts(content, "project", "dependencies")]
    rows = text.split("\n")
    for one in asked:
        number = next((index for index, row in enumerate(rows, 1) if one in row.replace('\\"', '"')), 1)
        yield Line(path=PROJECT, line=number, text=one)


def _texts(content: Mapping[str, Any], table: str, key: str) -> list[str]:
    found = content.get(table)
    listed = found.get(key) if isinstance(found, dict) else None
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []


def _hits(line: Line, reach: Reach, blind: list[Blind], places: Places) -> Iterator[Hit]:
    if "://" in line.text.partition(";")[0] and "@" not in line.text:
        return
    try:
        asked = Requirement(line.text)
    except InvalidRequirement as error:
        blind.append(Blind(path=line.path, why=f"line {line.line}: {error}".partition("\n")[0], lines=1))
        return
    elsewhere = OTHERS.search(posixpath.basename(line.path)) is not None
    for hazard, rule, detail in (*_machine(asked), *_wheels(asked), *_torch(asked)):
        state = State.DEAD if elsewhere else _state(asked, hazard)
        yield places.hit(hazard, rule, line.path, line.line, state=state, reach=reach, detail=detail)


def _holds(asked: Requirement, where: Mapping[str, str]) -> bool:
    return asked.marker is None or asked.marker.evaluate({**where, "extra": ""})


def _machine(asked: Requirement) -> Iterator[tuple[str, str, str]]:
    """A marker that is true on Linux, and on Windows only if its x86_64 were spelled so.

    A package that has nothing for Windows is left out rightly.
    """
    windows, linux = ENVIRONMENTS["windows"], ENVIRONMENTS["linux"]
    spelled = {**windows, "platform_machine": linux["platform_machine"]}
    known = read().get(canonicalize_name(asked.name))
    has_none = known is not None and known.kind is Kind.LINUX
    if not has_none and _holds(asked, linux) and not _holds(asked, windows) and _holds(asked, spelled):
        yield "E21", "machine-spelling", f"{asked.name} is left out: platform_machine is AMD64"


def _wheels(asked: Requirement) -> Iterator[tuple[str, str, str]]:
    """A package that publishes nothing that Windows can install; guarded where a marker leaves it out."""
    known = read().get(canonicalize_name(asked.name))
    if known is None:
        return
    if known.kind is Kind.LINUX:
        yield "E22", "no-windows-wheel", f"{asked.name} has wheels, none of them for Windows"
        return
    pinned = _pinned(asked)
    if pinned is not None and _has(known.lacks, pinned):
        yield (
            "E22",
            "pin-without-wheel",
            f"{asked.name} {pinned} has no wheel for Windows, other versions have",
        )
    elif wanting := _wanting(known, asked, pinned):
        yield "E22", "needs-no-windows-wheel", f"{asked.name} asks for {', '.join(wanting)}"


def _torch(asked: Requirement) -> Iterator[tuple[str, str, str]]:
    """A torch without a local version: on Windows the index has a build for the CPU under that name."""
    pinned = _pinned(asked)
    if canonicalize_name(asked.name) == "torch" and pinned is not None and "+" not in pinned:
        yield "D69", "torch-without-cuda", f"torch {pinned} is a CPU build on Windows"


def _wanting(known: Wheels, asked: Requirement, pinned: str | None) -> tuple[str, ...]:
    """What the version that pip takes needs: the pinned one, or the newest."""
    if pinned is None:
        return known.needs.get(known.newest, ()) if asked.specifier.contains(known.newest) else ()
    return next((names for version, names in known.needs.items() if _has([version], pinned)), ())


def _pinned(asked: Requirement) -> str | None:
    pins = [
        one.version for one in asked.specifier if PINNED.fullmatch(one.operator) and "*" not in one.version
    ]
    return pins[0] if len(pins) == 1 else None


def _has(versions: tuple[str, ...] | list[str], wanted: str) -> bool:
    try:
        return Version(wanted) in map(Version, versions)
    except InvalidVersion:
        return wanted in versions


def _state(asked: Requirement, hazard: str) -> State:
    if hazard == "E21" or _holds(asked, ENVIRONMENTS["windows"]):
        return State.LIVE
    return State.GUARDED
