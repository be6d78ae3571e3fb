"""A build from profile to wheel: every room once, in order, each step timed and told."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from winvllm_build import data
from winvllm_build.build import (
    codemodel,
    compiling,
    configure,
    dependencies,
    equipment,
    facts,
    ninja,
    packing,
    reproducible,
    short_home,
    trees,
    wheel,
)
from winvllm_build.build.engine import launcher
from winvllm_build.build.events import Note, Step, StepBegun, StepDone, Watcher
from winvllm_build.build.result import BuildResult, DryRun
from winvllm_build.build.selection import Selection, select
from winvllm_build.build.steps import logged_steps
from winvllm_build.index import Index
from winvllm_build.patchset import manifest, patchset
from winvllm_build.patchset.worktree import open_worktree
from winvllm_build.profile import limits, machine
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.profile.model import Profile
from winvllm_build.profile.problem import LayerKind
from winvllm_build.sources.dependency import Outcome, Unavailable, acquire_dependencies
from winvllm_build.sources.pins import Pins, read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.sources.source import Source, acquire
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.workspace import Workspace, locked

CHECK_ONLY: Final = (
    "compiled against torch's headers alone: this proves compiling and linking, the results cannot be loaded;"
    " install the tag's CUDA torch into the target environment for extensions that run"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """A build as the command line asks for it.

    Attributes:
        resolved: the profile.
        offline: use only what is cached.
        allow_edits: build patched files that carry edits on top of their patch.
        fresh: drop the build folder first.
        dry_run: configure (`fresh` drops the folder before that), and say what would run.
        wheels: folder for the wheel; None for the workspace's own.
        only: objects to compile instead of what the profile selects; nothing is linked or packed then.
    """

    resolved: ResolvedProfile
    offline: bool = False
    allow_edits: bool = False
    fresh: bool = False
    dry_run: bool = False
    wheels: Path | None = None
    only: tuple[str, ...] | None = None
    workspace: Workspace = field(default_factory=Workspace.default)
    patches: Path = field(default_factory=data.patches_root)


def run(request: BuildRequest, watch: Watcher) -> BuildResult | DryRun:
    """Build what the profile asks for, doing only what is left to do.

    Raises:
        WinvllmError: a subclass for each room that can fail.
    """
    equipment.refuse_early(request.resolved, patched_tags=patchset.tags(request.patches))
    request = replace(request, resolved=equipment.for_tag(request.resolved, request.patches))
    profile = request.resolved.profile
    layers = equipment.layers_of(profile, request.patches)
    workspace = short_home.fitting(
        request.workspace, profile, layers.optional, on_event=lambda text: watch(Note(text=text))
    )
    request = replace(request, workspace=workspace)
    folder = trees.tree_folder(request.workspace, profile.tag, profile.cuda.arch_list, layers.optional)
    with locked(folder.with_name(f"{folder.name}.lock"), f"the tree {folder}"):
        return _Build(request=request, watch=watch, folder=folder).run()


@dataclass(slots=True, kw_only=True)
class _Build:
    """One run; every method is a step that uses what earlier steps returned."""

    request: BuildRequest
    watch: Watcher
    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    cache: Mapping[str, Any] | None = None
    index: Index = field(init=False)
    remotes: Remotes = field(init=False)

    def __post_init__(self) -> None:
        self.index = Index(self.workspace, offline=self.request.offline, on_event=self.tell)
        self.remotes = Remotes(offline=self.request.offline)

    @property
    def profile(self) -> Profile:
        return self.request.resolved.profile

    @property
    def workspace(self) -> Workspace:
        return self.request.workspace

    def tell(self, text: str) -> None:
        self.told.append(text)
        self.watch(Note(text=text))

    @contextlib.contextmanager
    def step(self, step: Step, title: str) -> Iterator[list[str]]:
        """Time a step; the block leaves its summary in the list."""
        self.watch(StepBegun(step=step, title=title))
        begun, summary = time.monotonic(), [title]
        yield summary
        self.seconds[step.value] = time.monotonic() - begun
        self.watch(StepDone(step=step, seconds=self.seconds[step.value], summary=summary[-1]))

    def run(self) -> BuildResult | DryRun:
        for text in self.request.resolved.notes:
            self.tell(text)
        patches = patchset.load(self.request.patches, self.profile.tag)
        pins = read_pins(patches.folder / manifest.FILE)
        source = self.source(pins)
        equipment.refuse_architectures(self.request.resolved, source)
        tree = self.tree(source, patches)
        with locked(open_worktree(tree.folder).lock_file, f"the tree {tree.folder}"):
            expect, file = patches.manifest.expect, patches.folder / manifest.FILE
            tag = equipment.with_expectations(facts.read(tree.folder), expect, file)
            return self.build(source, tree, tag, pins, patches)

    def build(
        self,
        source: Source,
        tree: trees.PatchedTree,
        tag: facts.TagFacts,
        pins: Pins,
        patches: patchset.PatchSet,
    ) -> BuildResult | DryRun:
        """Everything after the tree, which nobody may patch or regenerate meanwhile."""
        toolchain = self.toolchain(tag)
        outcomes = self.dependencies(source, pins, patches)
        environment = {**toolchain.environment, **{o.variable: o.folder.as_posix() for o in outcomes}}
        build = self.configure(tree, toolchain, environment)
        model = codemodel.read(build)
        selection = self.select(model, tree, build, outcomes).only(self.request.only)
        door = ninja.Ninja(program=toolchain.ninja, folder=build, environment=environment)
        total = len(door.commands(selection.ninja_targets)) if selection.ninja_targets else 0
        if self.request.dry_run:
            return self.plan(tree, door, selection, total)
        ran = self.compile(door, selection)
        packed = None
        if not ran.failed and self.request.only is None and self.wants_wheel():
            maps = self.maps(tree, toolchain, build, environment)
            built = packing.Built(
                profile=self.profile, source=source, pins=pins, patches=patches, tree=tree,
                toolchain=toolchain, outcomes=outcomes, build=build, model=model, selection=selection,
                mapped=packing.Built.hides(maps, (self.workspace.root, tree.folder, build)),
            )  # fmt: skip
            packed = self.pack(built, tag, door.environment)
        return BuildResult(
            tag=self.profile.tag,
            source=source.description,
            tree=tree.folder,
            build=build,
            toolchain=toolchain.describe(),
            patches=tree.patches,
            layers=tree.layers,
            artifacts=_artifacts(build, model, selection),
            left_out=selection.left_out,
            edges=ran.finished,
            total=total,
            failed=ran.failed,
            seconds=self.seconds,
            jobs=self.jobs()[1],
            wheel=packed,
            loadable=toolchain.torch.runs,
            notes=(*self.notes, *(() if toolchain.torch.runs else (CHECK_ONLY,))),
            messages=tuple(self.told),
            cache=self.cache,
        )

    def source(self, pins: Pins) -> Source:
        with self.step(Step.SOURCE, f"vLLM {self.profile.tag}") as summary:
            source = acquire(
                pins.upstream,
                kind=self.profile.source.kind,
                location=self.profile.source.location,
                workspace=self.workspace,
                offline=self.request.offline,
                on_event=self.tell,
                index=self.index,
                remotes=self.remotes,
            )
            summary.append(f"commit {source.commit[:12]}, tree {source.tree[:12]}")
        return source

    def tree(self, source: Source, patches: patchset.PatchSet) -> trees.PatchedTree:
        with self.step(Step.TREE, str(self.folder)) as summary:
            layers = equipment.layers_of(self.profile, self.request.patches)
            tree = trees.prepare(
                source, patches, self.folder, layers, allow_edits=self.request.allow_edits, on_event=self.tell
            )
            edits = trees.other_edits(tree.folder, frozenset(patches.selected(layers)))
            if edits:
                self.notes.append(
                    f"{len(edits)} files outside the patch set are edited: {', '.join(edits[:5])}"
                )
            done = f"{tree.changed} of them written now" if tree.changed else "as they were"
            with_layers = f" ({layers.words})" if layers.optional else ""
            summary.append(f"{tree.patches} patched files{with_layers}, {done}")
        return tree

    def toolchain(self, tag: facts.TagFacts) -> Toolchain:
        with self.step(Step.TOOLCHAIN, "CUDA, compiler, Python, torch") as summary:
            found = equipment.equip(
                self.request.resolved, tag, workspace=self.workspace, index=self.index, on_event=self.tell
            )
            summary.append(found.summary())
        return found

    def dependencies(self, source: Source, pins: Pins, patches: patchset.PatchSet) -> tuple[Outcome, ...]:
        with self.step(Step.DEPENDENCIES, ", ".join(pin.name for pin in pins.dependencies)) as summary:
            outcomes = acquire_dependencies(
                source,
                pins.dependencies,
                archs=self.profile.cuda.arch_list,
                workspace=self.workspace,
                offline=self.request.offline,
                on_event=self.tell,
                locations={k: Path(v) for k, v in self.profile.source.dependencies.items()},
                index=self.index,
                remotes=self.remotes,
            )
            outcomes = dependencies.with_patches(
                outcomes, pins.dependencies, patches, equipment.layers_of(self.profile, self.request.patches),
                own=frozenset(self.profile.source.dependencies), on_event=self.tell,
            )  # fmt: skip
            missing = [o.name for o in outcomes if isinstance(o, Unavailable)]
            summary.append(f"without {', '.join(missing)}" if missing else "all there")
        return outcomes

    def configure(
        self,
        tree: trees.PatchedTree,
        toolchain: Toolchain,
        environment: Mapping[str, str],
    ) -> Path:
        folder = self.workspace.builds / build_name(tree.folder.name, self.profile, toolchain)
        wanted = configure.Configuration(
            cmake=toolchain.cmake,
            ninja=toolchain.ninja,
            source=tree.folder,
            build=folder,
            definitions={
                **toolchain.cmake_definitions(),
                **launcher.definitions(launcher.install(self.workspace)),
                **equipment.variables_of(self.profile, self.request.patches),
                **self.maps(tree, toolchain, folder, environment),
                "CMAKE_BUILD_TYPE": self.profile.build.type.value,
                "FETCHCONTENT_BASE_DIR": (folder / "_deps").as_posix(),
                "NVCC_THREADS": str(self.profile.cuda.nvcc_threads),
                "VLLM_FA3_IF_HOPPER": "ON",  # more than half of all edges, and of no use to other cards
                "VLLM_TARGET_DEVICE": "cuda",
            },
            environment=environment,
        )
        with self.step(
            Step.CONFIGURE, f"upstream's CMake for {', '.join(self.profile.cuda.arch_list)}"
        ) as summary:
            done = configure.configure(
                wanted, log=folder / "logs" / "configure.log", fresh=self.request.fresh
            )
            summary.append("nothing changed" if done.reused else f"log: {done.log}")
        return folder

    def maps(
        self, tree: trees.PatchedTree, toolchain: Toolchain, build: Path, environment: Mapping[str, str]
    ) -> dict[str, str]:
        """CMake's entries for objects that name no folder of this machine; none where the compiler cannot."""
        return reproducible.definitions(
            toolchain, self.workspace, tree=tree.folder, build=build, environment=environment
        )

    def select(
        self, model: codemodel.CodeModel, tree: trees.PatchedTree, build: Path, outcomes: tuple[Outcome, ...]
    ) -> Selection:
        asked = self.profile.build
        return select(
            model,
            commands=ninja.read_compile_commands(build),
            source=tree.folder,
            wanted=asked.targets,
            leave_out=asked.leave_out,
            objects=asked.objects,
            unavailable={
                target: f"{o.name}: {o.reason}"
                for o in outcomes
                if isinstance(o, Unavailable)
                for target in o.targets
            },
        )

    def jobs(self) -> tuple[int, str]:
        limit = limits.slots(self.profile, machine.read())
        return limit.jobs, f"{limit.jobs} at a time ({limit.reason})"

    def plan(self, tree: trees.PatchedTree, door: ninja.Ninja, selection: Selection, total: int) -> DryRun:
        return DryRun(
            tag=self.profile.tag,
            tree=tree.folder,
            layers=tree.layers,
            build=door.folder,
            ninja_targets=selection.ninja_targets,
            pending=tuple(door.pending(selection.ninja_targets)) if total else (),
            total=total,
            left_out=selection.left_out,
            jobs=self.jobs()[1],
        )

    def compile(self, door: ninja.Ninja, selection: Selection) -> ninja.RunResult:
        compiling.refuse_nothing(selection)
        title = f"{' '.join(selection.targets) or 'objects'}, {self.jobs()[1]}"
        with self.step(Step.COMPILE, title) as summary:
            wanted = compiling.Compilation.of(self.profile, door, selection, self.workspace)
            with compiling.equipped(wanted, self.workspace, self.tell) as ready:
                ran = compiling.compile_selection(ready, self.watch)
            self.cache = None if ready.cache is None else ready.cache.as_data()
            summary.append(f"{ran.finished} edges ran" if ran.finished else "nothing to do")
        return ran

    def pack(self, built: packing.Built, tag: facts.TagFacts, environment: Mapping[str, str]) -> wheel.Wheel:
        with self.step(Step.WHEEL, built.version) as summary:
            with logged_steps(built.build / "logs" / "wheel.log", environment) as runner:
                request = packing.request(built, self.workspace, self.request.wheels)
                made = wheel.pack(request, tag, runner)
            checked = packing.deliver(made, built, self.workspace)
            summary.append(f"{made.path.name}, checked")
        self.notes += [f"wheel: {one.member} {one.what}" for one in checked.findings if one.member]
        if built.contents.missing:
            self.notes.append(f"the wheel is partial: it lacks {', '.join(built.contents.missing)}")
        return made

    def wants_wheel(self) -> bool:
        """Whether to pack: single targets make a wheel only when somebody asked for one in so many words."""
        asked = self.request.resolved.origins["build.wheel"].layer is not LayerKind.DEFAULT
        if self.profile.build.wheel and self.profile.build.targets and not asked:
            self.notes.append(
                "no wheel was packed, since only some targets were asked for; --wheel packs them"
            )
            return False
        return self.profile.build.wheel


def build_name(tree: str, profile: Profile, toolchain: Toolchain) -> str:
    """`v0.14.1-sm86-release-1a2b3c4d`: one folder per tree, build type and toolchain."""
    parts = [
        str(toolchain.cuda.version),
        str(toolchain.cuda.home),
        str(toolchain.host.version),
        str(toolchain.python.version),
        str(toolchain.python.executable.parent),
        *(f"{name}={value}" for name, value in sorted(profile.environment.items())),
        toolchain.torch.version,
        toolchain.torch.origin.value,
    ]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
    return f"{tree}-{profile.build.type.value.lower()}-{digest}"


def _artifacts(build: Path, model: codemodel.CodeModel, selection: Selection) -> dict[str, int]:
    names = [name for target in selection.targets for name in model.targets[target].artifacts]
    made = [build / name for name in (*names, *selection.objects)]
    return {file.relative_to(build).as_posix(): file.stat().st_size for file in made if file.is_file()}
