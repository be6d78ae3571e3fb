"""What the gate adds to an edge: edges that cost nothing, one after the other and eight at a time."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.replay import baseline, gated, recorded
from benchmarks.replay.compiler import Scale
from benchmarks.replay.contest import Ring
from benchmarks.replay.gated import Heard, Machine
from winvllm_build.workspace import Workspace

NOTHING: Final = Scale(time=0.0, memory=0.0, size=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One way of running edges that cost nothing.

    Attributes:
        way: what stands before the compiler.
        jobs: edges at a time.
        wall: milliseconds of wall time for each edge, the start of the run shared among them.
        cpu: milliseconds of CPU time of all processes for each edge.
    """

    way: str
    jobs: int
    wall: float
    cpu: float


def rows(root: Path, number: int, jobs: tuple[int, ...] = (1, 8)) -> Iterator[Row]:
    """Every way with every number of jobs."""
    edges = tuple(replace(e, seconds=0.0) for e in recorded.load(recorded.FULL) if not e.links)[:number]
    ring = Ring(root=root, edges=edges, scale=NOTHING)
    launcher = gated.launcher(Workspace(root=root / "workspace"))
    for count in jobs:
        kept = Workspace(root=root / f"kept{count}")
        ways: dict[str, Callable[[], None]] = {
            "ninja": partial(_plain, ring, count, launcher=()),
            "launcher without a gate": partial(_plain, ring, count, launcher=launcher),
            "gate": partial(_gated, ring, count, workspace=None),
            "gate and store": partial(_gated, ring, count, workspace=kept),
            "gate and store, all found there": partial(_gated, ring, count, workspace=kept),
        }
        for name, run in ways.items():
            yield _measured(name, count, run, len(edges))


def _measured(name: str, jobs: int, run: Callable[[], None], number: int) -> Row:
    before, begun = _cpu(), time.perf_counter()
    run()
    wall = time.perf_counter() - begun
    return Row(
        way=name,
        jobs=jobs,
        wall=round(wall / number * 1000, 1),
        cpu=round((_cpu() - before) / number * 1000, 1),
    )


def _cpu() -> float:
    """CPU seconds of this process and of everything it waited for."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _plain(ring: Ring, jobs: int, launcher: tuple[str, ...]) -> None:
    built = ring.fresh(ring.toolkit(0), launcher)
    os.environ.pop("WINVLLM_GATE", None)
    baseline.ninja(built, jobs)


def _gated(ring: Ring, jobs: int, workspace: Workspace | None) -> None:
    built = ring.fresh(ring.toolkit(0), gated.launcher(Workspace(root=ring.root / "workspace")))
    machine = Machine(cores=jobs, cap=1 << 50)
    scale = Scale(memory=1.0)
    gated.run(
        built,
        gated.perfect(ring.edges, scale),
        gated.terms(machine, scale),
        watch=Heard(),
        workspace=workspace,
    )
