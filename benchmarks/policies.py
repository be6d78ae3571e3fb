"""How far policies of admission are from the lower bound: `python -m benchmarks.policies`.

The table of docs/plan.md. Simulated: two tags, 8.6 and 12.0, with and without flash-attention, 2 to 16 slots,
6 to 32 GB; seconds and memory as the tool predicts them from what comes with it.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests import recorded_builds
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.plan.schedule import Job, jobs_of, lower_bound, tails

GB: Final = 10**9
FOREVER: Final = 1 << 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """An order, and for how many times the slots a job that does not fit lets others pass."""

    name: str
    rank: Callable[[float, float, float], float]
    patience: int


def longest(seconds: float, slot: float, memory: float) -> float:
    del slot, memory
    return seconds


def dominant(seconds: float, slot: float, memory: float) -> float:
    return seconds * max(slot, min(memory, 1.0))


POLICIES: Final = (
    Policy(name="longest first, smaller ones overtake", rank=longest, patience=FOREVER),
    Policy(name="longest first, a large one waits for 2 x slots", rank=longest, patience=2),
    Policy(name="longest first, nobody overtakes", rank=longest, patience=0),
    Policy(name="by the larger share of slots or memory, overtaking", rank=dominant, patience=FOREVER),
)


def makespan(jobs: Sequence[Job], policy: Policy, *, slots: int, budget: int) -> float:
    """Seconds to the last end."""
    chain = tails(jobs)
    rank = {j.name: (-policy.rank(chain[j.name], 1 / slots, j.memory / budget), j.name) for j in jobs}
    waiting = sorted(jobs, key=lambda job: rank[job.name])
    passed = dict.fromkeys(rank, 0)
    running: list[tuple[float, str, Job]] = []
    done: set[str] = set()
    now, used = 0.0, 0
    while waiting or running:
        large: list[str] = []
        for job in list(waiting):
            if len(running) == slots:
                break
            if not done.issuperset(set(job.after) & rank.keys()):
                continue
            if running and used + job.memory > budget:
                large.append(job.name)
                if passed[job.name] >= policy.patience * slots:
                    break
                continue
            for name in large:
                passed[name] += 1
            waiting.remove(job)
            heapq.heappush(running, (now + job.seconds, job.name, job))
            used += job.memory
        now, name, ended = heapq.heappop(running)
        used -= ended.memory
        done.add(name)
    return now


def cases() -> Iterator[tuple[tuple[Job, ...], int, int]]:
    """Jobs, slots and budget of each case."""
    known = CostModel(history=None, compiler="", build_type="Release")
    for tag, archs, whole in itertools.product(("v0.33.0", "v0.14.1"), ("8.6", "12.0"), (True, False)):
        edges = recorded_builds.recorded(tag)[archs]
        jobs = jobs_of([e for e in edges if whole or "_vllm_fa" not in e.target], known.predict)
        for slots, memory in itertools.product((2, 4, 8, 16), (6, 8, 12, 16, 24, 32)):
            yield jobs, slots, memory * GB


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    found: dict[str, list[float]] = {policy.name: [] for policy in POLICIES}
    for jobs, slots, budget in cases():
        bound = lower_bound(jobs, slots=slots, budget=budget)
        for policy in POLICIES:
            found[policy.name].append(makespan(jobs, policy, slots=slots, budget=budget) / bound)
    for name, ratios in found.items():
        most = sorted(ratios)[int(len(ratios) * 0.9)]
        print(f"{name:52} mean {statistics.mean(ratios):.3f}  90 % below {most:.3f}  worst {max(ratios):.3f}")
    print(f"{len(next(iter(found.values())))} cases")


if __name__ == "__main__":
    main()
