"""From a finished build to a wheel: described, packed, checked, then delivered or kept aside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Final

from winvllm_build.build import placed, wheel
from winvllm_build.build.codemodel import CodeModel
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.plan import edges
from winvllm_build.build.selection import Selection
from winvllm_build.build.trees import PatchedTree
from winvllm_build.errors import PackError
from winvllm_build.patchset import lock
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.profile.model import Profile
from winvllm_build.sources.dependency import Dependency, Outcome
from winvllm_build.sources.pins import Pins
from winvllm_build.sources.source import Source
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.wheel import provenance, sbom
from winvllm_build.wheel.check import CheckRequest, check
from winvllm_build.wheel.metadata import REFUSED
from winvllm_build.wheel.provenance import (
    DependencyMade,
    ExtensionMade,
    PatchesMade,
    Provenance,
    SourceMade,
)
from winvllm_build.wheel.report import Report
from winvllm_build.wheel.version import wheel_version
from winvllm_build.workspace import Workspace, replace, sha256_of

SHOWN: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build before packing: everything that its wheel will say of itself."""

    profile: Profile
    source: Source
    pins: Pins
    patches: PatchSet
    tree: PatchedTree
    toolchain: Toolchain
    outcomes: tuple[Outcome, ...]
    build: Path
    model: CodeModel
    selection: Selection
    mapped: bool

    @classmethod
    def hides(cls, definitions: Mapping[str, str], folders: Iterable[Path]) -> bool:
        """Whether CMake's entries map each folder for nvcc, too; one with a blank cannot be."""
        maps = definitions.get("WINVLLM_CUDA_MAPS", "")
        return all(f"-ffile-prefix-map={folder.as_posix()}=" in maps for folder in folders)

    @property
    def contents(self) -> wheel.Contents:
        return wheel.contents(self.model, self.selection)

    @property
    def version(self) -> str:
        return wheel_version(
            self.profile.tag,
            self.toolchain.cuda.version,
            self.profile.cuda.arch_list,
            layers=self.tree.layers[1:],
            partial=bool(self.contents.missing),
        )


def request(built: Built, workspace: Workspace, out: Path | None) -> wheel.PackRequest:
    """What packing needs, the description of this build included.

    Args:
        built: the build.
        workspace: where environments and wheels are kept.
        out: the folder the wheel goes to; None for the workspace's own.

    Raises:
        ConfigureError: ninja cannot read the build's graph.
    """
    code = device_code(edges.read(built.build, built.selection.targets))

    def describe(installed: wheel.Installed, files: tuple[str, ...]) -> Mapping[str, bytes]:
        made = described(built, installed, files, code)
        return {provenance.FILE: made.serialise(), sbom.FILE: sbom.serialise(made, built.version)}

    extensions = {target.name for target in built.model.extensions()}
    return wheel.PackRequest(
        tree=built.tree.folder,
        build=built.build,
        cmake=built.toolchain.cmake,
        components=built.contents.components,
        targets=tuple(name for name in built.contents.components if name in extensions),
        version=built.version,
        python=built.toolchain.python.executable,
        shim=built.toolchain.torch.import_path,
        environments=workspace.toolchains,
        describe=describe,
        out=out or workspace.wheels,
        placed=placed.names_in(built.tree.folder),
    )


def described(
    built: Built,
    installed: wheel.Installed,
    files: tuple[str, ...],
    code: Mapping[str, tuple[str, ...] | None],
) -> Provenance:
    """What the wheel says of its making.

    Args:
        built: the build.
        installed: what upstream's install step left, by its place in the wheel.
        files: what the tree has of the package.
        code: the device code that the targets' commands ask for.
    """
    toolchain, upstream = built.toolchain, built.pins.upstream
    there = {outcome.name for outcome in built.outcomes if isinstance(outcome, Dependency)}
    return Provenance(
        tool=installed_version("winvllm-build"),
        source=SourceMade(
            tag=built.source.tag, url=upstream.url, commit=str(built.source.commit),
            tree=str(built.source.tree), sdist_sha256=upstream.sdist.sha256 if upstream.sdist else None,
        ),
        patches=PatchesMade(
            layers=built.tree.layers, count=built.tree.patches, edited=built.tree.edited,
            lock_sha256=sha256_of(built.patches.folder / lock.FILE),
        ),
        toolchain={
            "CUDA": str(toolchain.cuda.version),
            "Python": str(toolchain.python.version),
            "host compiler": f"{toolchain.host.kind.value} {toolchain.host.version}",
            "torch": toolchain.torch.version,
        },
        cuda=str(toolchain.cuda.version),
        archs=built.profile.cuda.arch_list,
        build_type=built.profile.build.type.value,
        extensions={
            name: ExtensionMade(target=target, code=code.get(target, ()))
            for name in installed.extensions
            for target in [wheel.target_of(name)]
        },
        copied=installed.others,
        packed=files,
        left_out={target.name: target.intended for target in built.selection.left_out},
        dependencies=tuple(
            DependencyMade(name=pin.name, url=pin.url, revision=pin.revision, commit=pin.commit)
            for pin in built.pins.dependencies
            if pin.name in there
        ),
        mapped=built.mapped,
    )  # fmt: skip


def device_code(found: Iterable[Edge]) -> dict[str, tuple[str, ...] | None]:
    """The device code that each target's commands ask for; None where one names none, and nvcc chooses."""
    code: dict[str, set[str] | None] = {}
    for edge in found:
        if edge.language is not Language.CUDA:
            continue
        before = code.setdefault(edge.target, set())
        code[edge.target] = before | {*edge.gencodes} if edge.gencodes and before is not None else None
    return {target: None if names is None else tuple(sorted(names)) for target, names in code.items()}


def deliver(packed: wheel.Wheel, built: Built, workspace: Workspace) -> Report:
    """Check a packed wheel; one with problems gets another name.

    Raises:
        PackError: the check refuses it; names the problems and where the wheel is kept.
        StorageError: it cannot be renamed.
    """
    known = sorted({str(folder.absolute()) for folder in (workspace.root, built.tree.folder, built.build)})
    done = check(CheckRequest(file=packed.path, folders=tuple(known), patches=built.patches.root))
    if not done.problems:
        return done
    aside = packed.path.with_name(packed.path.name + REFUSED)
    replace(packed.path, aside)
    lines = [
        f"  {one.subject.value}: {f'{one.member} ' if one.member else ''}{one.what}" for one in done.problems
    ]
    more = [f"  and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    raise PackError(
        "\n".join(["the wheel is packed, and its own check refuses it:", *lines[:SHOWN], *more,
                   f"kept aside as {aside}"]),
        fix=f"winvllm-build wheel check {aside} says all of it; then build again",
    )  # fmt: skip
