"""The order of a build's edges: the best of several schedules, which whoever follows it comes to as well."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile_trees import thorough
from tests.unit.test_plan_schedule import LIMITS, in_use, jobs
from winvllm_build.build.plan.schedule import Job, simulate
from winvllm_build.build.plan.sequence import BALANCES, shortest


@thorough(60)
@given(jobs(), *LIMITS, st.sampled_from(BALANCES))
def test_a_balanced_schedule_keeps_to_slots_memory_and_order(
    work: list[Job], slots: int, budget: int, balance: float
) -> None:
    made = simulate(work, slots=slots, budget=budget, balance=balance)
    assert sorted(span.job.name for span in made.spans) == sorted(job.name for job in work)
    ends = {span.job.name: span.end for span in made.spans}
    assert all(ends.get(name, 0.0) <= span.start for span in made.spans for name in span.job.after)
    for running in in_use(made):
        assert len(running) <= slots
        assert sum(job.memory for job in running) <= budget or len(running) == 1


@thorough(60)
@given(jobs(), *LIMITS)
def test_never_later_than_longest_first(work: list[Job], slots: int, budget: int) -> None:
    found = shortest(work, slots=slots, budget=budget)
    assert found.schedule.makespan <= simulate(work, slots=slots, budget=budget).makespan
    assert set(found.names) == set(found.urgency) == {job.name for job in work}


@thorough(60)
@given(jobs(), *LIMITS)
def test_who_starts_the_most_urgent_that_fits_comes_to_the_same_end(
    work: list[Job], slots: int, budget: int
) -> None:
    found = shortest(work, slots=slots, budget=budget)
    again = simulate(work, slots=slots, budget=budget, urgency=found.urgency)
    assert again.makespan == pytest.approx(found.schedule.makespan)


def test_large_edges_run_beside_small_ones_where_slots_are_as_scarce_as_memory() -> None:
    """Longest first two of 25 run beside that of 50: memory is full, two slots are free, the small wait."""
    work = [
        Job(name="large", seconds=30, memory=50),
        *(Job(name=f"medium{at}", seconds=12, memory=25) for at in range(4)),
        *(Job(name=f"small{at}", seconds=10, memory=10) for at in range(12)),
    ]
    assert simulate(work, slots=5, budget=100).makespan == 54
    assert shortest(work, slots=5, budget=100).schedule.makespan == 44
