"""Upstream's CMake over a published tree and over the same tree patched, as one machine configures both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.build import codemodel, configure, equipment, facts, ninja, older_gcc
from winvllm_build.choices import SourceKind
from winvllm_build.index import Index
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.patchset import load
from winvllm_build.profile.loader import ProfileRoots, resolve
from winvllm_build.sources.dependency import acquire_dependencies
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.sources.source import Source, acquire, worktree
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.workspace import Workspace

FLASH_ATTENTION = """\
cmake_minimum_required(VERSION 3.26)
project(stand_in LANGUAGES CXX)
add_library(_vllm_fa2_C MODULE fa2.cpp)
add_library(_vllm_fa3_C MODULE hopper.cpp)
"""


def unheard(*event: object) -> None:
    assert event


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What a build folder would do: each object's command, and the targets; the trees' paths made alike."""

    commands: dict[str, str]
    targets: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One tag, ready to be configured for a list of architectures; `own` has folders of dependencies."""

    checkout: Path
    workspace: Workspace
    folder: Path
    tag: str
    archs: tuple[str, ...]
    own: Mapping[str, Path] = field(default_factory=dict)

    def graph(self, *, patched: bool, **definitions: str) -> Graph:
        """Configure one of the trees, made before if it is there."""
        tree, toolchain, source = self._equipped(patched=patched)
        outcomes = acquire_dependencies(
            source, read_pins(self._set / "patchset.toml").dependencies, archs=self.archs,
            workspace=self.workspace, offline=False, on_event=unheard, remotes=Remotes(offline=True),
            locations={"flash-attn": self._stand_in(), **self.own},
        )  # fmt: skip
        build = self.folder / f"build-{tree.name}"
        wanted = configure.Configuration(
            cmake=toolchain.cmake, ninja=toolchain.ninja, source=tree, build=build,
            definitions={
                **toolchain.cmake_definitions(),
                **older_gcc.definitions(tree, toolchain.host, build),
                "CMAKE_BUILD_TYPE": "Release", "VLLM_TARGET_DEVICE": "cuda",
                "FETCHCONTENT_BASE_DIR": (build / "_deps").as_posix(), **definitions,
            },
            environment={**toolchain.environment, **{o.variable: o.folder.as_posix() for o in outcomes}},
        )  # fmt: skip
        configure.configure(wanted, log=build / "configure.log")

        def alike(text: str) -> str:
            return text.replace(str(build), "<build>").replace(str(tree), "<tree>")

        commands = {e["output"]: alike(e["command"]) for e in ninja.read_compile_commands(build)}
        return Graph(commands=commands, targets=frozenset(codemodel.read(build).targets))

    @property
    def _set(self) -> Path:
        return self.checkout / "patches" / self.tag

    def _stand_in(self) -> Path:
        folder = self.folder / "flash-attention"
        (folder / "vllm_flash_attn").mkdir(parents=True, exist_ok=True)
        for name, text in {"CMakeLists.txt": FLASH_ATTENTION, "fa2.cpp": "", "hopper.cpp": ""}.items():
            (folder / name).write_text(text, encoding="utf-8")
        return folder

    def _equipped(self, *, patched: bool) -> tuple[Path, Toolchain, Source]:
        source = acquire(
            read_pins(self._set / "patchset.toml").upstream, kind=SourceKind.SDIST, location=None,
            workspace=self.workspace, offline=False, on_event=unheard,
        )  # fmt: skip
        tree = worktree(source, self.folder / ("patched" if patched else "upstream"))
        if patched:
            apply(load(self.checkout / "patches", self.tag), tree, on_event=unheard, restore=True)
        resolved = resolve(
            None, roots=ProfileRoots(shipped=self.checkout / "profiles", user=self.folder),
            environment={name: os.environ[name] for name in ("CUDA_HOME",) if name in os.environ},
            overrides={"tag": self.tag, "cuda.arch_list": list(self.archs), "torch.source": "headers"},
        )  # fmt: skip
        toolchain = equipment.equip(
            resolved, facts.read(tree), workspace=self.workspace,
            index=Index(self.workspace, on_event=unheard), on_event=unheard,
        )  # fmt: skip
        return tree, toolchain, source
