"""A ninja project in the shape that CMake gives vLLM's: targets of objects with dependencies, and links."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.replay.compiler import Toolkit
from benchmarks.replay.recorded import Recorded

COMMON: Final = "replay_common.h"
GENCODES: Final = {
    "marlin": "-gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=compute_80",
    "flash-attention 2": "-gencode arch=compute_80,code=sm_80 -gencode arch=compute_80,code=compute_80",
    "flash-attention 3": "",
}
ORDINARY: Final = "-gencode arch=compute_86,code=sm_86"
HEADER: Final = """\
# CMAKE generated file: DO NOT EDIT!
ninja_required_version = 1.5
include CMakeFiles/rules.ninja

"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Sources and one configured build folder.

    Attributes:
        source: the source tree.
        build: the build folder.
        edges: what it builds.
    """

    source: Path
    build: Path
    edges: tuple[Recorded, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(edge.output for edge in self.edges)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(edge.target for edge in self.edges))

    def missing(self) -> list[str]:
        return [output for output in self.outputs if not (self.build / output).is_file()]

    def contents(self) -> dict[str, bytes]:
        """Every output's bytes."""
        return {output: (self.build / output).read_bytes() for output in self.outputs}


def write_sources(source: Path, edges: Iterable[Recorded]) -> None:
    """One file for each compile edge, all including one header."""
    (source / "csrc").mkdir(parents=True, exist_ok=True)
    (source / "csrc" / COMMON).write_text("#pragma once\n// what every kernel includes\n", encoding="utf-8")
    for edge in edges:
        if edge.source:
            file = source / edge.source
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f'#include "{COMMON}"\n// {edge.source}\n', encoding="utf-8")


def configure(
    source: Path, build: Path, edges: Sequence[Recorded], toolkit: Toolkit, *, launcher: Sequence[str] = ()
) -> Project:
    """Write a build folder as `cmake -G Ninja` leaves it.

    Args:
        source: the tree that `write_sources` made.
        build: the folder to write.
        edges: in the order in which ninja meets them.
        toolkit: the compilers.
        launcher: CMAKE_<LANG>_COMPILER_LAUNCHER and CMAKE_CXX_LINKER_LAUNCHER.
    """
    (build / "CMakeFiles").mkdir(parents=True, exist_ok=True)
    targets = tuple(dict.fromkeys(edge.target for edge in edges))
    graph = _Graph(source=source, build=build, toolkit=toolkit, launcher=tuple(launcher))
    rules = "".join(graph.rules(target) for target in targets)
    (build / "CMakeFiles" / "rules.ninja").write_text(rules, encoding="utf-8")
    (build / "build.ninja").write_text(HEADER + "".join(graph.statements(edges)), encoding="utf-8")
    entries = [graph.entry(edge) for edge in edges if not edge.links]
    (build / "compile_commands.json").write_text(json.dumps(entries, indent=1), encoding="utf-8")
    (build / "CMakeCache.txt").write_text("".join(graph.cache()), encoding="utf-8")
    for edge in edges:
        (build / edge.output).parent.mkdir(parents=True, exist_ok=True)
    return Project(source=source, build=build, edges=tuple(edges))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Graph:
    source: Path
    build: Path
    toolkit: Toolkit
    launcher: tuple[str, ...]

    @property
    def before(self) -> str:
        return f"{shlex.join(self.launcher)} " if self.launcher else ""

    def cache(self) -> Iterator[str]:
        """What is read back from CMakeCache.txt."""
        launcher = ";".join(self.launcher)
        ninja = shutil.which("ninja") or "ninja"
        entries = {
            "CMAKE_BUILD_TYPE:STRING": "Release",
            "CMAKE_GENERATOR:INTERNAL": "Ninja",
            "CMAKE_PROJECT_NAME:STATIC": "replay",
            "CMAKE_CUDA_COMPILER:FILEPATH": str(self.toolkit.nvcc),
            "CMAKE_CXX_COMPILER:FILEPATH": str(self.toolkit.host),
            "CMAKE_HOME_DIRECTORY:INTERNAL": str(self.source),
            "CMAKE_MAKE_PROGRAM:FILEPATH": ninja,
            "CUDA_TOOLKIT_ROOT_DIR:PATH": str(self.toolkit.folder),
            "CMAKE_CUDA_COMPILER_LAUNCHER:STRING": launcher,
            "CMAKE_CXX_COMPILER_LAUNCHER:STRING": launcher,
            "CMAKE_CXX_LINKER_LAUNCHER:STRING": launcher,
        }
        yield from (f"{name}={value}\n" for name, value in entries.items())

    def rules(self, target: str) -> str:
        compilers = {
            "CXX": f"{self.toolkit.host} $DEFINES $INCLUDES $FLAGS -MD -MT $out -MF $DEP_FILE -o $out -c $in",
            "CUDA": f"{self.toolkit.nvcc} -forward-unknown-to-host-compiler -ccbin={self.toolkit.host}"
            " $DEFINES $INCLUDES $FLAGS -MD -MT $out -MF $DEP_FILE -x cu -c $in -o $out",
        }
        compiling = "".join(
            f"rule {language}_COMPILER__{target}_unscanned_Release\n  depfile = $DEP_FILE\n  deps = gcc\n"
            f"  command = ${{LAUNCHER}}${{CODE_CHECK}}{command}\n"
            f"  description = Building {language} object $out\n\n"
            for language, command in compilers.items()
        )
        return compiling + (
            f"rule CXX_MODULE_LIBRARY_LINKER__{target}_Release\n"
            f"  command = $PRE_LINK && {self.before}{self.toolkit.host} -fPIC $LANGUAGE_COMPILE_FLAGS"
            " $LINK_FLAGS -o $TARGET_FILE $in $LINK_LIBRARIES && $POST_BUILD\n"
            "  description = Linking CXX shared module $TARGET_FILE\n  restat = $RESTAT\n\n"
        )

    def flags(self, edge: Recorded) -> str:
        if edge.family == "host":
            return "-O2 -DNDEBUG -std=gnu++20 -fPIC"
        gencodes = GENCODES.get(edge.family, ORDINARY)
        return f"-O2 -DNDEBUG -std=c++20 -Xcompiler=-fPIC --threads=1 {gencodes}".rstrip()

    def words(self, edge: Recorded) -> tuple[str, str]:
        """Preprocessor definitions and include folders."""
        stable = "-DTORCH_TARGET_VERSION=0x020B000000000000ULL " if "stable" in edge.target else ""
        return (
            f"{stable}-DTORCH_EXTENSION_NAME={edge.target} -D{edge.target}_EXPORTS",
            f"-I{self.source}/csrc -isystem {self.toolkit.folder}/include",
        )

    def statements(self, edges: Sequence[Recorded]) -> Iterator[str]:
        for edge in edges:
            yield self._link(edge, edges) if edge.links else self._compile(edge)
        links = [edge for edge in edges if edge.links]
        for edge in links:
            yield f"build {edge.target}: phony {edge.output}\n\n"
        linked = {edge.target for edge in links}
        ends = [edge.output for edge in edges if edge.links or edge.target not in linked]
        yield f"build all: phony {' '.join(ends)}\n\ndefault all\n"

    def _compile(self, edge: Recorded) -> str:
        language = "CXX" if edge.family == "host" else "CUDA"
        defines, includes = self.words(edge)
        launcher = f"  LAUNCHER = {self.before}\n" if self.launcher else ""
        return (
            f"build {edge.output}: {language}_COMPILER__{edge.target}_unscanned_Release"
            f" {self.source}/{edge.source}\n"
            f"  CONFIG = Release\n  DEFINES = {defines}\n  DEP_FILE = {edge.output}.d\n"
            f"  FLAGS = {self.flags(edge)}\n  INCLUDES = {includes}\n{launcher}"
            f"  OBJECT_DIR = CMakeFiles/{edge.target}.dir\n\n"
        )

    def _link(self, edge: Recorded, edges: Sequence[Recorded]) -> str:
        objects = " ".join(e.output for e in edges if e.target == edge.target and not e.links)
        return (
            f"build {edge.output}: CXX_MODULE_LIBRARY_LINKER__{edge.target}_Release {objects}\n"
            "  CONFIG = Release\n  LANGUAGE_COMPILE_FLAGS = -O2 -DNDEBUG\n  LINK_FLAGS = -shared\n"
            f"  POST_BUILD = :\n  PRE_LINK = :\n  TARGET_FILE = {edge.output}\n\n"
        )

    def entry(self, edge: Recorded) -> dict[str, str]:
        """One entry of compile_commands.json."""
        defines, includes = self.words(edge)
        file = f"{self.source}/{edge.source}"
        if edge.family == "host":
            command = (
                f"{self.toolkit.host} {defines} {includes} {self.flags(edge)} -o {edge.output} -c {file}"
            )
        else:
            command = (
                f"{self.toolkit.nvcc} -forward-unknown-to-host-compiler -ccbin={self.toolkit.host} {defines}"
                f" {includes} {self.flags(edge)} -x cu -c {file} -o {edge.output}"
            )
        return {
            "directory": str(self.build),
            "command": command,
            "file": file,
            "output": str(self.build / edge.output),
        }
