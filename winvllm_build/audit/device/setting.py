"""A build of the patched tag, configured with upstream's CMake on this machine and never made."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packaging.specifiers import SpecifierSet

from winvllm_build.audit.device.recipe import Recipe, recipes
from winvllm_build.build import configure, equipment, facts, ninja, older_gcc, trees
from winvllm_build.build.dependencies import with_patches
from winvllm_build.choices import SourceKind, TorchSource
from winvllm_build.errors import ToolchainError
from winvllm_build.index import Index
from winvllm_build.patchset import lock, manifest
from winvllm_build.patchset.layers import select
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.sources.dependency import Outcome, Unavailable, acquire_dependencies
from winvllm_build.sources.pins import Pins, read_pins
from winvllm_build.sources.source import Source, acquire
from winvllm_build.toolchain.host import HostKind
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.toolchain import Toolchain, discover
from winvllm_build.workspace import Workspace, locked

WAIT_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to configure.

    Attributes:
        patches: the set.
        workspace: where sources, trees and toolchains are.
        index: the package index.
        dependencies: folders of the user's own, by name.
        tell: told what happens.
    """

    patches: PatchSet
    workspace: Workspace
    index: Index
    offline: bool = False
    dependencies: Mapping[str, Path] = field(default_factory=dict)
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A configured build for one list of architectures.

    Attributes:
        tree: the patched tree, with generated sources.
        recipes: its units.
        toolchain: what compiles them.
        environment: for the compilers.
        dependencies: which sources of other projects it compiles with.
        missing: which projects a target lacks and why, by the target's name.
    """

    archs: tuple[str, ...]
    tree: Path
    recipes: tuple[Recipe, ...]
    toolchain: Toolchain
    environment: Mapping[str, str]
    dependencies: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]]

    @property
    def compilers(self) -> str:
        """`nvcc 13.0.88, gcc 12.2.0, torch 2.9.1`."""
        host = self.toolchain.host
        torch = self.toolchain.torch.version.partition("+")[0]
        return f"nvcc {self.toolchain.cuda.version}, {host.kind.value} {host.version}, torch {torch}"


def require_linux() -> None:
    """Upstream's own sources compile on Linux alone.

    Raises:
        ToolchainError: this is another system.
    """
    if sys.platform != "linux":
        raise ToolchainError(
            "upstream's kernels, before a patch, compile on Linux alone",
            fix="run this command on Linux or in WSL; its record is read everywhere",
        )


def acquired(wanted: Wanted) -> tuple[Source, Pins]:
    """Upstream's source at the tag.

    Raises:
        SourceError: it cannot be had, or is not what is pinned.
    """
    pins = read_pins(wanted.patches.folder / manifest.FILE)
    source = acquire(
        pins.upstream, kind=SourceKind.AUTO, location=None, workspace=wanted.workspace,
        offline=wanted.offline, on_event=wanted.tell, index=wanted.index,
    )  # fmt: skip
    return source, pins


@contextmanager
def configured(wanted: Wanted, source: Source, pins: Pins, archs: tuple[str, ...]) -> Iterator[Setting]:
    """Configure for these architectures, in a tree of the audit's own; nobody else uses it meanwhile.

    Raises:
        ToolchainError: a compiler is missing.
        ConfigureError: CMake refuses.
        BusyError: another audit uses the tree.
    """
    name = f"{trees.tree_name(wanted.patches.tag, archs)}-device"
    folder = wanted.workspace.trees / name
    with locked(
        folder.with_name(f"{name}.lock"), f"the tree {folder}", wait=WAIT_SECONDS, on_wait=wanted.tell
    ):
        selection = select(wanted.patches.manifest)
        trees.prepare(source, wanted.patches, folder, selection, allow_edits=False, on_event=wanted.tell)
        toolchain = _toolchain(wanted, folder, archs)
        outcomes = acquire_dependencies(
            source, pins.dependencies, archs=archs, workspace=wanted.workspace, offline=wanted.offline,
            on_event=wanted.tell, locations=wanted.dependencies, index=wanted.index,
        )  # fmt: skip
        outcomes = with_patches(
            outcomes, pins.dependencies, wanted.patches, selection, own=frozenset(wanted.dependencies),
            on_event=wanted.tell,
        )  # fmt: skip
        environment = {**toolchain.environment, **{o.variable: o.folder.as_posix() for o in outcomes}}
        build = wanted.workspace.builds / name
        _configure(toolchain, folder, build, environment, _state(wanted.patches))
        wanted.tell(f"configured for {', '.join(archs)}: {build}")
        yield Setting(
            archs=archs, tree=folder, recipes=recipes(ninja.read_compile_commands(build), folder),
            toolchain=toolchain, environment=environment, missing=_missing(outcomes),
            dependencies=tuple(f"{pin.name} {pin.commit or pin.revision}" for pin in pins.dependencies),
        )  # fmt: skip


def _toolchain(wanted: Wanted, tree: Path, archs: tuple[str, ...]) -> Toolchain:
    expect, file = wanted.patches.manifest.expect, wanted.patches.folder / manifest.FILE
    tag = equipment.with_expectations(facts.read(tree), expect, file)
    request = ToolchainRequest(
        architectures=archs, cuda_version=tag.cuda or SpecifierSet(), torch_version=tag.torch,
        python_version=tag.requires_python, torch_source=TorchSource.HEADERS,
    )  # fmt: skip
    found = discover(request, workspace=wanted.workspace, index=wanted.index, on_event=wanted.tell)
    if found.host.kind is not HostKind.GCC:
        raise ToolchainError(
            f"the host compiler is {found.host}; the comparison reads GCC's assembly",
            fix="install g++ and put it first on PATH",
        )
    return found


def _state(patches: PatchSet) -> str:
    """Other patches are another configuration: nobody runs ninja, which would notice a changed CMake file."""
    return hashlib.sha256((patches.folder / lock.FILE).read_bytes()).hexdigest()[:16]


def _configure(
    toolchain: Toolchain, tree: Path, build: Path, environment: Mapping[str, str], state: str
) -> None:
    wanted = configure.Configuration(
        cmake=toolchain.cmake, ninja=toolchain.ninja, source=tree, build=build, environment=environment,
        definitions={
            **toolchain.cmake_definitions(),
            **older_gcc.definitions(tree, toolchain.host, build),
            "CMAKE_BUILD_TYPE": "Release",
            "FETCHCONTENT_BASE_DIR": (build / "_deps").as_posix(),
            "VLLM_TARGET_DEVICE": "cuda",
            "WINVLLM_PATCH_SET": state,
        },
    )  # fmt: skip
    configure.configure(wanted, log=build / "logs" / "configure.log")


def _missing(outcomes: tuple[Outcome, ...]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for outcome in outcomes:
        if isinstance(outcome, Unavailable):
            for target in outcome.targets:
                found[target] = (*found.get(target, ()), f"{outcome.name}: {outcome.reason}")
    return found
