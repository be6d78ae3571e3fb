"""What was built put into its source tree, and the tree installed editable: Python edits count at once."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.build import (
    codemodel,
    editable,
    equipment,
    facts,
    install_command,
    pipeline,
    placed,
    wheel,
)
from winvllm_build.build.editable import EditableRequest
from winvllm_build.build.events import Note, Watcher
from winvllm_build.build.pipeline import BuildRequest
from winvllm_build.build.placed import Placement, Record, beside
from winvllm_build.build.result import BuildResult, DryRun
from winvllm_build.build.steps import StepRunner, logged_steps
from winvllm_build.build.wheel import PackRequest
from winvllm_build.errors import CompileError, ToolchainError, UsageError
from winvllm_build.index import Index
from winvllm_build.patchset import manifest
from winvllm_build.patchset.worktree import open_worktree
from winvllm_build.toolchain import python as python_room
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.wheel.version import wheel_version
from winvllm_build.workspace import Workspace, locked

GENERATED: Final = ("vllm/_version.py",)
"""What setup.py writes into the tree besides its egg-info."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevelopRequest:
    """An editable installation as it is asked for.

    Attributes:
        build: what to build first.
        python: the interpreter whose environment gets it; None for the one that was built for.
        installer: pip, uv, or auto.
        dependencies: install what vLLM requires as well.
    """

    build: BuildRequest
    python: Path | None = None
    installer: str = "auto"
    dependencies: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    """The end of it.

    Attributes:
        result: the build before it.
        placement: what lies in the tree now.
        python: the interpreter that imports it.
        command: what was run to install it; empty when it was installed already.
        version: the version it is installed as.
    """

    result: BuildResult
    placement: Placement
    python: Path
    command: tuple[str, ...]
    version: str

    def as_data(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "command": list(self.command),
            "edited": list(self.placement.edited),
            "files": sorted(self.placement.files),
            "kept": list(self.placement.kept),
            "python": str(self.python),
            "tree": str(self.result.tree),
            "version": self.version,
            "written": list(self.placement.written),
        }


def develop(request: DevelopRequest, watch: Watcher) -> Developed:
    """Build, put the extensions into the tree, install it editable.

    Raises:
        WinvllmError: a subclass for each room that can fail; a Python that is not there, before the build.
    """
    if request.python is not None:
        python_room.require(request.python)
    result = pipeline.run(request.build, watch)
    if isinstance(result, DryRun):
        raise UsageError("a dry run builds nothing that could be installed", fix="leave --dry-run out")
    if result.failed:
        raise CompileError(
            f"{len(result.failed)} edges failed, so nothing is installed", fix="winvllm-build why"
        )
    with locked(open_worktree(result.tree).lock_file, f"the tree {result.tree}"):
        return _Develop.of(request, result, watch).run()


def undo(tree: Path, tell: Callable[[str], None]) -> tuple[str, ...] | None:
    """Take everything of ours out of a tree and its environments.

    Returns:
        the files that were taken out; None if nothing was noted as put there.

    Raises:
        ToolchainError: an environment still has it; the rest is done, and the next undo asks that one again.
        TreeStateError: the record cannot be read.
        StorageError: something cannot be removed.
    """
    folder = beside(tree)
    record = placed.read(folder)
    if record is None:
        return None
    with locked(open_worktree(tree).lock_file, f"the tree {tree}"):
        refused = _uninstall(record, folder)
        stayed = placed.take_out(tree, record, tuple(record.files))
        for name in stayed:
            tell(f"{name} was changed since and stays")
        placed.remove_tree(tree / "vllm.egg-info")
        if refused:
            placed.write(folder, Record(files={}, pythons=tuple(refused), version=record.version))
            raise next(iter(refused.values()))
        if not placed.remove_beside(tree):
            tell(f"a program has files loaded that were exchanged: delete {folder} when it has ended")
    return tuple(name for name in record.files if name not in stayed)


def _absolute(python: Path | None) -> Path | None:
    """An interpreter as another run finds it, from whatever folder; a bare name is looked for on PATH."""
    return python and Path(process.which(str(python)) or python).absolute()


def _uninstall(record: Record, folder: Path) -> dict[str, ToolchainError]:
    """Out of each environment that still has this tree; why not, by its interpreter."""
    refused = {}
    for name in record.pythons:
        python = Path(name)
        if not python.is_file() or editable.installed_version(python, folder) is None:
            continue
        try:
            editable.uninstall(python)
        except ToolchainError as error:
            refused[name] = error
    return refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Develop:
    """One run, after the build."""

    request: DevelopRequest
    result: BuildResult
    toolchain: Toolchain
    tag: facts.TagFacts
    watch: Watcher

    @classmethod
    def of(cls, request: DevelopRequest, result: BuildResult, watch: Watcher) -> _Develop:
        """With the toolchain that the build used, found again."""
        build = request.build
        file = build.patches / result.tag / manifest.FILE
        tag = equipment.with_expectations(facts.read(result.tree), manifest.read(file).expect, file)
        index = Index(build.workspace, offline=build.offline, on_event=lambda _: None)
        toolchain = equipment.equip(
            equipment.for_tag(build.resolved, build.patches),
            tag,
            workspace=build.workspace,
            index=index,
            on_event=lambda _: None,
        )
        return cls(request=request, result=result, toolchain=toolchain, tag=tag, watch=watch)

    @property
    def workspace(self) -> Workspace:
        return self.request.build.workspace

    def run(self) -> Developed:
        folder = beside(self.result.tree)
        before = placed.read(folder) or Record(files={})
        python = _absolute(self.request.python) or self.toolchain.python.executable
        version = self._version()
        others = (other for other in before.pythons if other != str(python))
        record = dataclasses.replace(before, pythons=(*others, str(python)), version=version)
        new = [n for n in GENERATED if n in before.files or not (self.result.tree / n).exists()]
        log = self.result.build / "logs" / "develop.log"
        with logged_steps(log, self.toolchain.environment) as runner:
            placement = self._place(runner, record)
            command: tuple[str, ...] = ()
            if editable.installed_version(python, folder) != version:
                self._editable(folder, version, runner)
                command = self._install(folder, python, runner)
        generated = {name: placed.digest(self.result.tree / name) for name in new}
        files = {**placement.files, **{name: digest for name, digest in generated.items() if digest}}
        placed.write(folder, dataclasses.replace(record, files=files, replaced={}))
        return Developed(
            result=self.result, placement=placement, python=python, command=command, version=version
        )

    def _version(self) -> str:
        missing = any(not target.intended for target in self.result.left_out)
        return wheel_version(
            self.result.tag,
            self.toolchain.cuda.version,
            self.request.build.resolved.profile.cuda.arch_list,
            layers=self.result.layers[1:],
            partial=missing,
        )

    def _pack_request(self, components: Sequence[str]) -> PackRequest:
        return PackRequest(
            tree=self.result.tree,
            build=self.result.build,
            cmake=self.toolchain.cmake,
            components=components,
            targets=(),
            version=self._version(),
            python=self.toolchain.python.executable,
            shim=self.toolchain.torch.import_path,
            environments=self.workspace.toolchains,
            describe=lambda *_: {},
            out=self.workspace.wheels,
        )

    def _components(self) -> tuple[str, ...]:
        """What was built, and what is only copied."""
        model = codemodel.read(self.result.build)
        left_out = {target.name for target in self.result.left_out}
        return tuple(
            sorted(name for name in model.components if name in model.targets and name not in left_out)
        )

    def _place(self, runner: StepRunner, before: Record) -> Placement:
        installed = dataclasses.replace(
            before, files={name: digest for name, digest in before.files.items() if name not in GENERATED}
        )

        def note(record: Record) -> None:
            files = {**before.files, **record.files}
            placed.write(beside(self.result.tree), dataclasses.replace(record, files=files))

        with tempfile.TemporaryDirectory(prefix="winvllm-develop-") as temporary:
            wheel.install(self._pack_request(self._components()), Path(temporary), runner)
            return placed.put(Path(temporary), self.result.tree, installed, note)

    def _editable(self, folder: Path, version: str, runner: StepRunner) -> None:
        packer = wheel.packing_python(self._pack_request(()), self.tag, runner)
        editable.make(
            EditableRequest(
                tree=self.result.tree,
                folder=folder,
                version=version,
                packer=packer,
                shim=self.toolchain.torch.import_path,
            ),
            runner,
        )

    def _install(self, folder: Path, python: Path, runner: StepRunner) -> tuple[str, ...]:
        installer = editable.installer_of(python, self.request.installer)
        torch = self.toolchain.torch
        built = install_command.Built(
            target=str(folder),
            torch=self.tag.torch if self.request.dependencies else None,
            cuda=self.toolchain.cuda.version,
            torch_local=Version(torch.version).local if torch.runs else None,
        )
        options = ["--editable"] if self.request.dependencies else ["--no-deps", "--editable"]
        composed = install_command.compose(
            built if self.request.dependencies else dataclasses.replace(built, torch_local=None, cuda=None),
            indexes=self.request.build.resolved.profile.torch.indexes if self.request.dependencies else (),
            python=str(python),
            options=options,
        )
        words = composed.pip if installer == "pip" else composed.uv
        self.watch(Note(text=f"installing the tree into the environment of {python} with {installer}"))
        runner.run(f"{installer} install", list(words), extra=wheel.installer_variables())
        return words
