"""What several builds have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace

from winvllm_build.build.engine.edge import Language
from winvllm_build.build.plan.result import BuildPlan, Planned, Room, Sharing, count
from winvllm_build.build.plan.schedule import Job, jobs_of, simulate


def shared(plans: Sequence[BuildPlan], room: Room) -> Sharing:
    """Compare builds; each distinct compile edge is taken from the first build that has it."""
    compiled = [[one for one in plan.edges if one.edge.language is not Language.LINK] for plan in plans]
    everything = [one for edges in compiled for one in edges]
    holders = Counter(identity for edges in compiled for identity in {one.identity for one in edges})
    numbers = Counter(holders.values())
    links = sum(1 for plan in plans for one in plan.edges if one.edge.language is Language.LINK)
    return Sharing(
        all_edges=count(everything),
        commands=count(list(_first((one.edge.key, one) for one in everything))),
        distinct=count(list(_first((one.identity, one) for one in everything))),
        shared_by=dict(sorted(numbers.items())),
        links=links,
        room=room,
        schedule=simulate(_jobs(plans), slots=room.slots, budget=room.budget),
    )


def _first(named: Iterable[tuple[Hashable, Planned]]) -> Iterator[Planned]:
    seen: set[Hashable] = set()
    for name, one in named:
        if name not in seen:
            seen.add(name)
            yield one


def _jobs(plans: Sequence[BuildPlan]) -> tuple[Job, ...]:
    """Each distinct compile edge once, and the links of all builds, which wait for objects wherever made."""
    made: dict[str, Job] = {}
    for number, plan in enumerate(plans):
        names = {one.edge.output: _name(one, number) for one in plan.edges}
        for job in jobs_of((one.edge for one in plan.edges), plan.cost):
            name = names[job.name]
            made.setdefault(name, replace(job, name=name, after=tuple(names[before] for before in job.after)))
    return tuple(made.values())


def _name(one: Planned, build: int) -> str:
    return f"{build}/{one.edge.output}" if one.edge.language is Language.LINK else one.identity
