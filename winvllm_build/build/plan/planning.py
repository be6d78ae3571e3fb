"""From a profile to a plan: configured for real, nothing compiled."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build.build import codemodel, pipeline
from winvllm_build.build.configure import STAMP
from winvllm_build.build.engine import memory
from winvllm_build.build.engine.cost import Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.events import Watcher
from winvllm_build.build.pipeline import BuildRequest
from winvllm_build.build.plan import edges, setting
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.plan.identity import Identities
from winvllm_build.build.plan.result import BuildPlan, Planned, Room
from winvllm_build.build.plan.schedule import jobs_of
from winvllm_build.build.plan.sequence import shortest
from winvllm_build.build.plan.setting import Setting
from winvllm_build.build.result import DryRun
from winvllm_build.profile import limits, machine
from winvllm_build.profile.model import Profile

GIB: Final = 1 << 30
HOPPER: Final = "_vllm_fa3_C"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Limits to reckon with instead of this machine's; None for its own.

    Attributes:
        slots: edges at a time.
        memory: bytes that edges may use together.
    """

    slots: int | None = None
    memory: int | None = None


def plan(request: BuildRequest, watch: Watcher, *, title: str, what_if: WhatIf) -> BuildPlan:
    """Configure, unless that is done, and say what a build would do.

    Raises:
        WinvllmError: as `pipeline.run`.
    """
    begun = time.time()
    dry = pipeline.run(replace(request, dry_run=True), watch)
    if not isinstance(dry, DryRun):
        raise TypeError(type(dry).__name__)
    here = setting.read(dry.build)
    model = CostModel.open(request.workspace, here)
    identities = Identities(here, f"{dry.tag} {' '.join(dry.layers)}")
    found = edges.read(dry.build, dry.ninja_targets, setting=here) if dry.ninja_targets else ()
    profile = request.resolved.profile
    planned = tuple(
        Planned(edge=edge, cost=_cost(profile, model.predict(edge)), identity=identities.of(edge))
        for edge in found
    )
    limit = room(profile, what_if)
    costs = {one.edge.output: one.cost for one in planned}
    jobs = jobs_of(found, lambda edge: costs[edge.output])
    return BuildPlan(
        title=title,
        tag=dry.tag,
        archs=tuple(profile.cuda.arch_list),
        layers=dry.layers,
        selects=profile.build.selects,
        build=dry.build,
        reused=(dry.build / STAMP).stat().st_mtime < begun,
        edges=planned,
        pending=len(dry.pending),
        left_out=dry.left_out,
        unbuilt=_unbuilt(here, dry),
        room=limit,
        schedule=shortest(jobs, slots=limit.slots, budget=limit.budget).schedule,
        notes=_notes(found, here),
    )


def room(profile: Profile, what_if: WhatIf) -> Room:
    """What a build of the profile may use on this machine, or on another."""
    found = machine.read()
    limit = limits.slots(profile, found)
    slots = limit.jobs if what_if.slots is None else what_if.slots
    own = memory.room(found).budget(found.memory, 0)
    budget = own if what_if.memory is None else what_if.memory
    asked = what_if.slots is not None or what_if.memory is not None
    return Room(slots=slots, budget=budget, reason="as asked" if asked else limit.reason)


def _cost(profile: Profile, predicted: Cost) -> Cost:
    """With the memory that the profile gives to every edge, if it does."""
    each = profile.build.memory_per_job
    return predicted if each == "auto" else replace(predicted, memory=int(each * GIB))


def _unbuilt(here: Setting, dry: DryRun) -> dict[str, int]:
    """Compile edges of the targets that are left out; none for those that CMake does not know."""
    known = {target.name for target in codemodel.read(here.folder).extensions()}
    absent = [target.name for target in dry.left_out if target.name in known]
    if not absent:
        return {}
    counts: dict[str, int] = dict.fromkeys(absent, 0)
    for edge in edges.read(here.folder, absent, setting=here):
        if edge.target in counts and edge.language is not Language.LINK:
            counts[edge.target] += 1
    return counts


def _notes(found: Sequence[Edge], here: Setting) -> tuple[str, ...]:
    notes = []
    hopper = [edge for edge in found if edge.target == HOPPER]
    if hopper and all(edge.language is not Language.CUDA for edge in hopper):
        notes.append(f"{HOPPER} holds no kernels: FlashAttention 3 is for 9.x, which is not in the list")
    bare = sum(1 for edge in found if edge.language is Language.CUDA and not edge.gencodes)
    if bare:
        notes.append(f"{bare} CUDA objects are compiled for no architecture that was asked for")
    if not Path(here.cuda_compiler).exists():
        notes.append(f"{here.cuda_compiler} is gone since the build was configured")
    return tuple(notes)
