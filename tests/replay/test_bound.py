"""The benchmark's lower bound holds for every schedule, and is what the package's own schedule says."""

from __future__ import annotations

import random

import pytest

from benchmarks.replay import baseline, recorded
from benchmarks.replay.bound import lower_bound, packing
from benchmarks.replay.recorded import Recorded
from winvllm_build.build.plan.schedule import Job, simulate

GIB = 1 << 30


def jobs_of(edges: tuple[Recorded, ...]) -> tuple[Job, ...]:
    return tuple(
        Job(
            name=edge.output,
            seconds=edge.seconds,
            memory=edge.memory,
            after=tuple(e.output for e in edges if e.target == edge.target) if edge.links else (),
        )
        for edge in edges
    )


def one(seconds: float, memory: int) -> Recorded:
    return Recorded(output="CMakeFiles/_C.dir/csrc/a.cu.o", seconds=seconds, memory=memory, size=0)


def test_work_longest_and_memory_each_decide_once() -> None:
    assert lower_bound([one(10, 1)] * 4, cores=2, cap=100).what == "work"
    assert lower_bound([one(50, 1), one(1, 1)], cores=2, cap=100).what == "longest"
    found = lower_bound([one(10, 60)] * 4, cores=4, cap=100)
    assert (found.what, found.seconds) == ("memory", 40)


def test_what_fits_beside_the_large_is_not_counted_twice() -> None:
    assert packing([one(10, 70), one(10, 30)], 100) == 10
    assert packing([one(10, 70), one(10, 40)], 100) == pytest.approx(14)
    assert packing([one(10, 90), one(10, 20)], 100) == pytest.approx(12)


@pytest.mark.parametrize("seed", range(4))
def test_no_schedule_beats_it(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    edges = recorded.varied(recorded.thinned(recorded.load(recorded.SMALL), 40), seed)
    cap = int(max(edge.memory for edge in edges) * chance.choice([1.2, 2, 4]))
    jobs = [
        Job(
            name=job.name,
            seconds=job.seconds,
            memory=job.memory,
            after=tuple(name for name in job.after if name != job.name),
        )
        for job in jobs_of(edges)
    ]
    schedule = simulate(jobs, slots=8, budget=cap)
    bound = lower_bound(edges, cores=8, cap=cap)
    assert bound.seconds <= schedule.makespan * 1.000001
    assert schedule.bound == pytest.approx(bound.seconds, rel=0.1)


def test_the_rules_of_others_choose_what_they_are_known_for() -> None:
    assert baseline.vllm_jobs(16) == 16
    assert baseline.vllm_jobs(16, max_jobs=2, nvcc_threads=8) == 1
    assert baseline.flash_attention_jobs(96, 850 * GIB) == 42  # the host that rebooted
    assert baseline.flash_attention_fixed_jobs(96, 850 * GIB) == 32
    assert baseline.flash_attention_fixed_jobs(16, 12 * GIB, threads=1) == 1
