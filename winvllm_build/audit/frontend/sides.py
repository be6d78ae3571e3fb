"""The two trees, before and after the patch set, configured by upstream's CMake."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from packaging.version import Version
from typing_extensions import assert_never

from winvllm_build.audit.frontend import crt, definitions, units
from winvllm_build.audit.frontend.command_lines import Headers
from winvllm_build.audit.frontend.markers import Names
from winvllm_build.audit.frontend.outcome import Side
from winvllm_build.audit.frontend.parts import Parts
from winvllm_build.audit.frontend.units import Replacement, Unit
from winvllm_build.audit.frontend.windows import split
from winvllm_build.build import configure, equipment, facts, ninja, older_gcc, trees
from winvllm_build.build.dependencies import with_patches
from winvllm_build.choices import TorchSource
from winvllm_build.errors import ToolchainError
from winvllm_build.git import Git
from winvllm_build.index import Index, PlatformTag
from winvllm_build.patchset import manifest, patchset
from winvllm_build.patchset.layers import Selection
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.sources import source as source_room
from winvllm_build.sources.dependency import Dependency, acquire_dependencies
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.toolchain import cuda_wheels, torch_headers
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.toolchain.torch_cpu import enable_cuda
from winvllm_build.workspace import Workspace, locked, replace, staged_folder

LOCK_SECONDS: Final = 900.0
TARGETS_FILE: Final = Path("share/cmake/Caffe2/Caffe2Targets.cmake")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What preparing works in and with."""

    resolved: ResolvedProfile
    workspace: Workspace
    patches: Path
    index: Index
    offline: bool
    tell: Callable[[str], None]
    dependencies: Mapping[str, Path] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        return self.resolved.profile.tag

    @property
    def archs(self) -> tuple[str, ...]:
        return self.resolved.profile.cuda.arch_list


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsParts:
    """What the index has for Windows: the toolkit's folder, torch's package, both with their versions."""

    cuda: Path
    cuda_version: Version
    torch: Path
    torch_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A tree that CMake has configured, and its units as Windows would compile them.

    Attributes:
        side: which one.
        tree: its folder.
        units: all of them, generated ones included.
        names: short names for its files and the headers.
        patched: the files that the set changes.
        toolchain: what it was configured with, for the record.
    """

    side: Side
    tree: Path
    units: tuple[Unit, ...]
    names: Names
    patched: frozenset[str]
    toolchain: Toolchain


def windows_parts(room: Room) -> WindowsParts:
    """NVIDIA's toolkit and torch's headers for Windows, from the index, by their pins.

    Raises:
        OfflineError: they are not there yet and the index does not answer.
        SourceError: the index has other files than the pinned ones.
        ToolchainError: no torch of the tag's version is pinned.
    """
    pins = cuda_wheels.read_pins(PlatformTag.WINDOWS_AMD64)
    cuda = cuda_wheels.lay_down(pins, workspace=room.workspace, index=room.index, on_event=room.tell)
    pin = torch_headers.read_pin(_torch_request(room), PlatformTag.WINDOWS_AMD64)
    home = room.workspace.toolchains / f"{pin.folder_name}-front-end"
    with locked(home.with_name(f".{home.name}.lock"), "torch's headers for Windows", wait=LOCK_SECONDS):
        if not home.is_dir():
            part = room.index.members(
                "torch", pin.version, wanted=torch_headers.wanted, record_sha256=pin.record,
                into=room.workspace.toolchains / ".parts" / f"torch-front-end-{pin.record[:12]}",
                platform=pin.system, python=pin.python,
            )  # fmt: skip
            with staged_folder(home) as staged:
                replace(part / "torch", staged / "torch")
                if not pin.cuda_build:
                    enable_cuda(staged / "torch")
    return WindowsParts(cuda=cuda, cuda_version=pins.version, torch=home / "torch", torch_version=pin.version)


def headers_of(windows: WindowsParts, runtime: crt.Crt, parts: Parts) -> Headers:
    """The system's folders for every unit."""
    major, minor, build = windows.cuda_version.release[:3]
    return Headers(
        cuda=windows.cuda, release=(major, minor, build), stand_ins=runtime.stand_ins, stl=parts.stl,
        wine=runtime.wine, windows=parts.headers / "windows",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Linux:
    """What stands in for Windows' own parts in a tree that Linux configured."""

    windows: WindowsParts
    headers: Headers


def prepare(side: Side, room: Room, linux: Linux | None) -> Configured:
    """Check out, patch or leave as it is, configure, and read the units.

    Args:
        side: which tree.
        room: where things lie.
        linux: None on Windows, where everything is real.

    Raises:
        WinvllmError: a subclass for each room that can fail.
    """
    patches = patchset.load(room.patches, room.tag)
    pins = read_pins(patches.folder / manifest.FILE)
    remotes = Remotes(offline=room.offline)
    profile = room.resolved.profile
    source = source_room.acquire(
        pins.upstream, kind=profile.source.kind, location=profile.source.location, workspace=room.workspace,
        offline=room.offline, on_event=room.tell, index=room.index, remotes=remotes,
    )  # fmt: skip
    chosen = equipment.layers_of(profile, room.patches)
    tree = _tree(side, room, source, patches, chosen)
    file = patches.folder / manifest.FILE
    tag = equipment.with_expectations(facts.read(tree), patches.manifest.expect, file)
    toolchain = equipment.equip(
        room.resolved, tag, workspace=room.workspace, index=room.index, on_event=room.tell
    )
    outcomes = acquire_dependencies(
        source, pins.dependencies, archs=room.archs, workspace=room.workspace, offline=room.offline,
        on_event=room.tell, locations=_own_folders(room),
        index=room.index, remotes=remotes,
    )  # fmt: skip
    if side is Side.AFTER:
        outcomes = with_patches(
            outcomes, pins.dependencies, patches, chosen,
            own=frozenset(_own_folders(room)), on_event=room.tell,
        )  # fmt: skip
    folders = {outcome.variable: outcome.folder.as_posix() for outcome in outcomes}
    build = _configure(side, room, tree, toolchain, {**toolchain.environment, **folders})
    commands = ninja.read_compile_commands(build)
    there = {one.name: one.folder for one in outcomes if isinstance(one, Dependency)}
    if linux is None:
        real = Replacement(folders={}, dropped=frozenset())
        found = units.read(
            commands, tree=tree, generated=_untracked(tree), swap=real, dependencies=there, split=split
        )
        own = {folder: name for name, folder in there.items()}
        names = Names({tree: "", toolchain.cuda.home / "include": "cuda", **own})
    else:
        python = crt.lay_down_python(toolchain.python.include, room.workspace)
        swap = _replacement(toolchain, linux.windows, python, definitions.on_windows(tree))
        found = units.read(commands, tree=tree, generated=_untracked(tree), swap=swap, dependencies=there)
        names = _names(tree, linux, python, {one.folder: one.name for one in outcomes})
    changed = frozenset(patches.selected(chosen))
    return Configured(
        side=side, tree=tree, units=found, names=names, patched=changed, toolchain=toolchain
    )  # fmt: skip


def _own_folders(room: Room) -> dict[str, Path]:
    profile = {name: Path(folder) for name, folder in room.resolved.profile.source.dependencies.items()}
    return {**profile, **room.dependencies}


def _torch_request(room: Room) -> ToolchainRequest:
    patches = patchset.load(room.patches, room.tag)
    wanted = str(patches.manifest.expect.get("torch", ""))
    if not wanted:
        raise ToolchainError(
            f"the patch set of {room.tag} does not say which torch it is for",
            fix=f"write [expect] torch into {patches.folder / manifest.FILE}",
        )
    return ToolchainRequest(architectures=room.archs, torch_version=wanted, torch_source=TorchSource.HEADERS)


def _tree(
    side: Side, room: Room, source: source_room.Source, patches: patchset.PatchSet, chosen: Selection
) -> Path:
    match side:
        case Side.BEFORE:
            folder = room.workspace.trees / f"{trees.tree_name(room.tag, room.archs)}-unpatched"
            with locked(folder.with_name(f"{folder.name}.lock"), f"the tree {folder}", wait=LOCK_SECONDS):
                return source_room.worktree(source, folder, on_event=room.tell)
        case Side.AFTER:
            folder = trees.tree_folder(room.workspace, room.tag, room.archs, chosen.optional)
            with locked(folder.with_name(f"{folder.name}.lock"), f"the tree {folder}", wait=LOCK_SECONDS):
                made = trees.prepare(source, patches, folder, chosen, allow_edits=True, on_event=room.tell)
                return made.folder
        case _:
            assert_never(side)


def _configure(
    side: Side, room: Room, tree: Path, toolchain: Toolchain, environment: Mapping[str, str]
) -> Path:
    profile = room.resolved.profile
    layers, variables = _layers(side, room)
    folder = room.workspace.builds / f"{trees.tree_name(room.tag, room.archs, layers)}-front-end-{side.value}"
    wanted = configure.Configuration(
        cmake=toolchain.cmake,
        ninja=toolchain.ninja,
        source=tree,
        build=folder,
        definitions={
            **toolchain.cmake_definitions(),
            **older_gcc.definitions(tree, toolchain.host, folder),
            **variables,
            "CMAKE_BUILD_TYPE": profile.build.type.value,
            "FETCHCONTENT_BASE_DIR": (folder / "_deps").as_posix(),
            "NVCC_THREADS": str(profile.cuda.nvcc_threads),
            "VLLM_TARGET_DEVICE": "cuda",
        },
        environment=environment,
    )
    with locked(folder.with_name(f"{folder.name}.lock"), f"the build folder {folder}", wait=LOCK_SECONDS):
        configure.configure(wanted, log=folder / "logs" / "configure.log")
    return folder


def _layers(side: Side, room: Room) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The optional layers of a side and the CMake variables that switch them on."""
    profile = room.resolved.profile
    match side:
        case Side.BEFORE:
            return (), {}
        case Side.AFTER:
            chosen = equipment.layers_of(profile, room.patches).optional
            return chosen, equipment.variables_of(profile, room.patches)
        case _:
            assert_never(side)


def _replacement(
    toolchain: Toolchain, windows: WindowsParts, python: Path, defined: tuple[str, ...]
) -> Replacement:
    cuda = windows.cuda / "include"
    homes = {toolchain.cuda.home, toolchain.cuda.home.resolve()}
    folders = {
        toolchain.torch.package / "include": windows.torch / "include",
        toolchain.python.include: python,
        **{home / "include": cuda for home in homes},
        **{home / "targets/x86_64-linux/include": cuda for home in homes},
        **dict.fromkeys(toolchain.cuda.include_dirs, cuda),
    }
    linux, other = (
        (package / TARGETS_FILE).read_text("utf-8", "replace")
        for package in (toolchain.torch.package, windows.torch)
    )
    return Replacement(folders=folders, dropped=units.only_on_linux(linux, other), defined=defined)


def _names(tree: Path, linux: Linux, python: Path, dependencies: Mapping[Path, str]) -> Names:
    windows, headers = linux.windows, linux.headers
    return Names(
        {
            windows.torch / "include": "torch",
            windows.cuda / "include": "cuda",
            python: "python",
            headers.stand_ins: "crt",
            headers.stl: "stl",
            headers.wine: "wine",
            headers.windows: "windows",
            **dependencies,
            tree: "",
        }
    )


def _untracked(tree: Path) -> frozenset[str]:
    """What generators wrote into the worktree."""
    listed = Git(tree).out("ls-files", "--others", "-z").decode("utf-8", "surrogateescape")
    return frozenset(name for name in listed.split("\0") if name)
