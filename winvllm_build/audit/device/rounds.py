"""One configured build: the units that prove something, those of the record, and the others compiled."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from winvllm_build.audit.device.choice import Chooser, Chosen
from winvllm_build.audit.device.closure import Includes
from winvllm_build.audit.device.compare import Compared, compare
from winvllm_build.audit.device.jobs import admitted, run_all
from winvllm_build.audit.device.reasons import differences, reasoned
from winvllm_build.audit.device.record import Records, Unit
from winvllm_build.audit.device.setting import Setting
from winvllm_build.audit.device.stage import Stage
from winvllm_build.audit.device.steps import plan
from winvllm_build.audit.device.subject import Sources, Subject
from winvllm_build.errors import CompileError, ToolchainError, UsageError
from winvllm_build.git import RepoPath
from winvllm_build.suggest import did_you_mean
from winvllm_build.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One unit: `unit` where it was compared, `why` where it could not be."""

    chosen: Chosen
    unit: Unit | None
    why: str
    seconds: float
    reused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit to compile, and the digest of what it is made of."""

    chosen: Chosen
    inputs: str


class Round:
    """What can be said with one configured build."""

    def __init__(self, setting: Setting, subject: Subject) -> None:
        self.setting = setting
        self.subject = subject
        self.contents = subject.contents(setting.tree)
        self._sources = Sources(setting.tree, self.contents)
        folders = {path: None for recipe in setting.recipes for path in recipe.includes(setting.tree)}
        self.includes = Includes(self._sources.texts, tuple(folders))
        self.chooser = Chooser(setting.recipes, self.includes, self.contents)

    def chosen(self, *, every: bool, named: Collection[str]) -> tuple[Chosen, ...]:
        """The units to compare.

        Raises:
            UsageError: a unit is named that this build does not have.
        """
        known = {recipe.source for recipe in self.setting.recipes}
        for name in named:
            if name not in known:
                raise UsageError(
                    f"no unit {name} for {', '.join(self.setting.archs)}{did_you_mean(name, known)}",
                    fix="name a source as CMake does: csrc/attention/merge_attn_states.cu",
                )
        return self.chooser.units(every=every, named=named)

    def run(
        self, chosen: Collection[Chosen], known: Records, *, workspace: Workspace, jobs: int
    ) -> Iterator[Result]:
        """Those that are in the record first, then the others as they finish."""
        tasks = [Task(chosen=one, inputs=self._sources.digest(one, self._also())) for one in chosen]
        held = {(unit.source, unit.arch, unit.inputs): unit for unit in known.units}
        left: list[Task] = []
        for task in tasks:
            recipe = task.chosen.recipe
            unit = held.get((recipe.source, recipe.arch, task.inputs))
            if unit is None:
                left.append(task)
            else:
                told = reasoned(unit.differences, self.subject.behind(task.chosen.files))
                known_unit = replace(unit, differences=told)
                yield Result(chosen=task.chosen, unit=known_unit, why="", seconds=0.0, reused=True)
        if left:
            stages = self._stages(workspace, min(jobs, len(left)))
            try:
                for _, result, _ in run_all(left, stages, self._one):
                    yield result
            finally:
                for stage in stages:
                    stage.remove()

    def _also(self) -> tuple[str, ...]:
        return self.setting.compilers, *self.setting.dependencies

    def _stages(self, workspace: Workspace, jobs: int) -> list[Stage]:
        made: list[Stage] = []
        for number in range(admitted(jobs)):
            folder = workspace.builds / f"{self.setting.tree.name}-stage{number}"
            stage = Stage(folder=folder, contents=self.contents)
            stage.lay(self.setting.tree)
            made.append(stage)
        return made

    def _one(self, task: Task, stage: Stage) -> Result:
        recipe, begun = task.chosen.recipe, time.monotonic()
        unit, why = None, ""
        try:
            made = plan(
                recipe, stage, self.setting.tree, self.setting.environment, self.setting.toolchain.host.cxx
            )
            unit = self._unit(task, compare(made, stage))
        except (CompileError, ToolchainError) as error:
            lacks = self.setting.missing.get(recipe.target, ())
            said = error.message.replace(f"{stage.tree}/", "")
            why = "; ".join((said, *(f"without {one}" for one in lacks)))
        return Result(chosen=task.chosen, unit=unit, why=why, seconds=time.monotonic() - begun)

    def _unit(self, task: Task, compared: Compared) -> Unit:
        recipe, files = task.chosen.recipe, task.chosen.files
        return Unit(
            source=recipe.source, arch=recipe.arch, options=recipe.options, compiler=self.setting.compilers,
            inputs=task.inputs, files={path: self.subject.pairs[path] for path in sorted(files)},
            compared=compared.counts,
            differences=differences(compared, self.subject.behind(files)),
        )  # fmt: skip

    def uncovered(self) -> tuple[RepoPath, ...]:
        return self.chooser.uncovered()
