"""The tree's own generators of kernels, executed in a temporary copy of their folders, as Windows would."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winvllm_build import process
from winvllm_build.audit.cxx.source import ENDINGS
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind
from winvllm_build.errors import ToolchainError
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_run import CUDA_BUILD, Run, Visit, relative

GENERATED: Final = "generated"
ARCHS: Final = "7.5,8.0,8.6,8.9,12.0"
"""One of each kind that the generators tell apart, so that they write all they can."""
TIMEOUT: Final = 60.0
AS_WINDOWS: Final = """\
import asyncio, functools, glob, importlib.util, itertools, os, pathlib, runpy, shutil
import subprocess, sys, tempfile
import jinja2
jinja2.Template = functools.lru_cache(None)(jinja2.Template)
sys.platform = "win32"
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""What asks for the platform when imported is imported before its name is changed; a template is compiled
once, not for every kernel, which writes the same in a tenth of the time."""
WINDOWS_WAY: Final = "the generator was run with sys.platform == 'win32'"
PLAIN_WAY: Final = "the generator was run as on this machine: it failed with sys.platform == 'win32'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """One `execute_process` of CMake that runs a Python file of the tree.

    Attributes:
        script: its path.
        arguments: paths of the tree, and what else it is given; architectures are filled in.
        modules: folders of the tree that its modules are in.
    """

    script: str
    arguments: tuple[str, ...]
    modules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """What the generators wrote, by `generated/<folder>/<name>`, and how each was run."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    ways: Mapping[str, str] = field(default_factory=dict)
    blind: tuple[Blind, ...] = ()


def generators(checkout: Checkout) -> tuple[Generator, ...]:
    """The generators that CMake runs in a CUDA build, in its order.

    Raises:
        SourceError: CMake's files are missing or not CMake.
    """
    run = Run(checkout, CUDA_BUILD)
    found: dict[Generator, None] = {}
    for visit in run.visits():
        if visit.live and visit.command.name == "execute_process":
            made = _generator(visit, run, checkout)
            if made is not None:
                found[made] = None
    return tuple(found)


def _generator(visit: Visit, run: Run, checkout: Checkout) -> Generator | None:
    words: list[str] = []
    for argument in visit.command.arguments:
        if argument.text in ("RESULT_VARIABLE", "OUTPUT_VARIABLE", "OUTPUT_FILE", "WORKING_DIRECTORY"):
            break
        texts = run.variables.texts(argument, visit.conditions)
        words.append(texts[0] if texts else argument.text)
    folder = visit.file.rpartition("/")[0]
    places = [relative(word, folder) for word in words]
    script = next((i for i, at in enumerate(places) if at.endswith(".py") and at in checkout.entries), None)
    if script is None:
        return None
    modules = [
        relative(part, folder)
        for word in words[:script] if word.startswith("PYTHONPATH=")
        for part in word.partition("=")[2].split(":")
    ]  # fmt: skip
    arguments = [
        ARCHS if "ARCH" in word else place if "CMAKE_" in word else word
        for word, place in zip(words[script + 1 :], places[script + 1 :], strict=True)
    ]
    known = tuple(part.rstrip("/") for part in modules if checkout.below(part.rstrip("/")))
    return Generator(script=places[script], arguments=tuple(arguments), modules=known)


def generate(files: Files, found: Iterable[Generator]) -> Generated:
    """Run the generators, several at once; one that fails is told as a place nobody looked at."""
    with ThreadPoolExecutor() as pool:
        parts = list(pool.map(lambda one: _run(files, one), found))
    return Generated(
        files={path: content for part in parts for path, content in part.files.items()},
        ways={path: way for part in parts for path, way in part.ways.items()},
        blind=tuple(blind for part in parts for blind in part.blind),
    )


def _run(files: Files, generator: Generator) -> Generated:
    why = ""
    for way, runner in ((WINDOWS_WAY, ["-c", AS_WINDOWS]), (PLAIN_WAY, [])):
        with tempfile.TemporaryDirectory(prefix="winvllm-generated-") as folder:
            top = Path(folder)
            before = _lay_down(files, generator, top)
            why = _failure(generator, runner, top)
            if "ModuleNotFoundError" in why:
                break
            if not why:
                made = {f"{GENERATED}/{path}": content for path, content in _new(top, before)}
                return Generated(files=made, ways=dict.fromkeys(made, way))
    return Generated(blind=(Blind(path=generator.script, why=f"the generator does not run here: {why}"),))


def _lay_down(files: Files, generator: Generator, top: Path) -> dict[str, bytes]:
    """Copy what the generator may read, and make the folders it may write to."""
    folders = {generator.script.rpartition("/")[0], *generator.modules}
    before: dict[str, bytes] = {}
    for path in files.names:
        folder = path.rpartition("/")[0]
        if folder in folders and (content := files.content(path)) is not None:
            before[path] = content
            (top / folder).mkdir(parents=True, exist_ok=True)
            (top / path).write_bytes(content)
    for argument in generator.arguments:
        if "/" in argument:
            (top / argument).mkdir(parents=True, exist_ok=True)
    return before


def _failure(generator: Generator, runner: list[str], top: Path) -> str:
    """Why it failed, in its own last words; empty where it did not."""
    arguments = [str(top / one) if "/" in one else one for one in generator.arguments]
    paths = [str(top / folder) for folder in generator.modules]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *runner, str(top / generator.script), *arguments]
    try:
        done = process.capture(command, cwd=top, env=environment, timeout=TIMEOUT)
    except ToolchainError as error:
        return str(error)
    if done.code == 0:
        return ""
    return (done.error_text.splitlines() or [f"it ended with {done.code}"])[-1]


def _new(top: Path, before: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for file in sorted(top.rglob("*")):
        path = file.relative_to(top).as_posix()
        if file.is_file() and path.endswith(ENDINGS):
            content = file.read_bytes()
            if before.get(path) != content:
                yield path, content
