"""What a plan says, as values: one build, and several builds beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.plan.schedule import Schedule
from winvllm_build.build.selection import LeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An edge, what it will cost, and `identity`, which equal work of several builds shares."""

    edge: Edge
    cost: Cost
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How much there is: objects of each language, links, device passes, seconds of work and bytes made."""

    cuda: int
    cxx: int
    links: int
    passes: int
    seconds: float
    size: int

    @property
    def edges(self) -> int:
        return self.cuda + self.cxx + self.links

    def as_data(self) -> dict[str, Any]:
        return {
            "bytes": self.size,
            "cuda_objects": self.cuda,
            "cxx_objects": self.cxx,
            "device_passes": self.passes,
            "edges": self.edges,
            "links": self.links,
            "work_seconds": round(self.seconds, 1),
        }


def count(planned: Sequence[Planned]) -> Count:
    """All of `planned` together."""
    by_language = Counter(one.edge.language for one in planned)
    return Count(
        cuda=by_language[Language.CUDA],
        cxx=by_language[Language.CXX],
        links=by_language[Language.LINK],
        passes=sum(len(one.edge.gencodes) for one in planned),
        seconds=sum(one.cost.seconds for one in planned),
        size=sum(one.cost.size for one in planned),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a build may use: edges at a time, bytes together, and in words where that comes from."""

    slots: int
    budget: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """One build.

    Attributes:
        title: what tells it from the others, such as `8.6` or `sm86`.
        tag: the vLLM tag.
        archs: architectures as asked for.
        layers: layers of patches.
        selects: what the profile says of targets and objects, by the names of its keys.
        build: the configured folder.
        reused: whether it was configured before.
        edges: what it consists of, in ninja's order.
        pending: how many of them are left to do.
        left_out: targets that are not built.
        unbuilt: compile edges of each of those, where CMake knows them.
        room: what it may use.
        schedule: when each edge would run, from nothing.
        notes: what a reader must know to read the counts right.
    """

    title: str
    tag: str
    archs: tuple[str, ...]
    layers: tuple[str, ...]
    selects: Mapping[str, tuple[str, ...]]
    build: Path
    reused: bool
    edges: tuple[Planned, ...]
    pending: int
    left_out: tuple[LeftOut, ...]
    unbuilt: Mapping[str, int]
    room: Room
    schedule: Schedule
    notes: tuple[str, ...]

    @property
    def total(self) -> Count:
        return count(self.edges)

    @property
    def targets(self) -> dict[str, Count]:
        """By target, the one with most work first."""
        grouped: dict[str, list[Planned]] = {}
        for one in self.edges:
            grouped.setdefault(one.edge.target, []).append(one)
        counts = {name: count(members) for name, members in grouped.items()}
        return dict(sorted(counts.items(), key=lambda item: (-item[1].seconds, item[0])))

    @property
    def codes(self) -> dict[str, Count]:
        """By device code (`sm_86`, `compute_80` for PTX): the objects that hold it; without one `default`."""
        grouped: dict[str, list[Planned]] = {}
        for one in self.edges:
            if one.edge.language is Language.CUDA:
                for code in dict.fromkeys(one.edge.gencodes or ("default",)):
                    grouped.setdefault(code, []).append(one)
        return {name: count(members) for name, members in sorted(grouped.items())}

    @property
    def bases(self) -> dict[Basis, int]:
        """What the predictions stand on, and how many on each."""
        found = Counter(one.cost.basis for one in self.edges)
        return {basis: found[basis] for basis in Basis if found[basis]}

    def cost(self, edge: Edge) -> Cost:
        """What one of the edges was reckoned to cost."""
        return next(one.cost for one in self.edges if one.edge.output == edge.output)

    @property
    def heaviest(self) -> Planned | None:
        return max(self.edges, key=lambda one: one.cost.memory, default=None)

    @property
    def longest(self) -> Planned | None:
        return max(self.edges, key=lambda one: one.cost.seconds, default=None)

    def as_data(self, *, with_edges: bool) -> dict[str, Any]:
        """Plain values for `--json`."""
        data = {
            "archs": list(self.archs),
            "basis": {basis.name.lower(): number for basis, number in self.bases.items()},
            "build": str(self.build),
            "codes": {name: one.as_data() for name, one in self.codes.items()},
            "configured_before": self.reused,
            "layers": list(self.layers),
            "left_out": {
                o.name: {"compile_edges": self.unbuilt.get(o.name), "reason": o.reason} for o in self.left_out
            },
            "notes": list(self.notes),
            "pending": self.pending,
            "predicted": {
                "disk_bytes": self.total.size,
                "lower_bound_seconds": round(self.schedule.bound, 1),
                "memory_budget_bytes": self.room.budget,
                "peak_memory_bytes": self.schedule.peak,
                "room": self.room.reason,
                "seconds": round(self.schedule.makespan, 1),
                "slots": self.room.slots,
            },
            "selects": {key: list(names) for key, names in self.selects.items()},
            "tag": self.tag,
            "targets": {name: one.as_data() for name, one in self.targets.items()},
            "title": self.title,
            "total": self.total.as_data(),
        }
        return data | ({"edges": self._edges()} if with_edges else {})

    def _edges(self) -> list[dict[str, Any]]:
        starts = {span.job.name: span.start for span in self.schedule.spans}
        return [
            {
                "basis": one.cost.basis.name.lower(),
                "bytes": one.cost.size,
                "codes": list(one.edge.gencodes),
                "identity": one.identity,
                "key": one.edge.key,
                "language": one.edge.language.value,
                "memory_bytes": one.cost.memory,
                "output": one.edge.output,
                "seconds": round(one.cost.seconds, 1),
                "source": one.edge.source,
                "start_seconds": round(starts[one.edge.output], 1),
                "target": one.edge.target,
            }
            for one in self.edges
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What several builds have in common; compile edges only, each build links for itself.

    Attributes:
        all_edges: those of all builds together.
        commands: those whose command line, folders aside, no other has.
        distinct: one of each that has to be compiled: a command with other generated files counts again.
        shared_by: how many of the distinct ones so many builds have, by that number.
        links: of all builds.
        room: what the work may use.
        schedule: all distinct compile edges once, and every link.
    """

    all_edges: Count
    commands: Count
    distinct: Count
    shared_by: Mapping[int, int]
    links: int
    room: Room
    schedule: Schedule

    def as_data(self) -> dict[str, Any]:
        return {
            "all": self.all_edges.as_data(),
            "distinct": self.distinct.as_data(),
            "distinct_commands": self.commands.as_data(),
            "links": self.links,
            "predicted_seconds_shared": round(self.schedule.makespan, 1),
            "saved_work_seconds": round(self.all_edges.seconds - self.distinct.seconds, 1),
            "shared_by_builds": {str(number): many for number, many in self.shared_by.items()},
            "slots": self.room.slots,
        }
