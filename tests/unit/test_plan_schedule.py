"""A simulated schedule keeps to slots, memory and order, and never beats the lower bound."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.hostile_trees import thorough
from winvllm_build.build.plan.schedule import Job, Schedule, lower_bound, simulate, tails

LIMITS = st.integers(1, 6), st.integers(1, 40)


@st.composite
def jobs(draw: st.DrawFn) -> list[Job]:
    """Jobs that wait only for earlier ones."""
    made: list[Job] = []
    for number in range(draw(st.integers(0, 14))):
        before = draw(st.lists(st.sampled_from([job.name for job in made] or ["no job"]), max_size=3))
        seconds = draw(st.integers(1, 200)) / 4
        made.append(
            Job(name=f"j{number}", seconds=seconds, memory=draw(st.integers(0, 30)), after=tuple(before))
        )
    return made


def in_use(made: Schedule) -> list[list[Job]]:
    """The jobs that run at the same time, at each start."""
    return [
        [span.job for span in made.spans if span.start <= at < span.end]
        for at in {span.start for span in made.spans}
    ]


@thorough(60)
@given(jobs(), *LIMITS)
def test_never_more_jobs_or_bytes_than_there_are(work: list[Job], slots: int, budget: int) -> None:
    made = simulate(work, slots=slots, budget=budget)
    assert sorted(span.job.name for span in made.spans) == sorted(job.name for job in work)
    for running in in_use(made):
        assert len(running) <= slots
        assert sum(job.memory for job in running) <= budget or len(running) == 1
    assert made.peak <= max([budget, *(job.memory for job in work)])


@thorough(60)
@given(jobs(), *LIMITS)
def test_no_slot_has_two_jobs_at_once(work: list[Job], slots: int, budget: int) -> None:
    made = simulate(work, slots=slots, budget=budget)
    for slot in range(slots):
        spans = sorted((s.start, s.end) for s in made.spans if s.slot == slot)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@thorough(60)
@given(jobs(), *LIMITS)
def test_a_job_starts_when_all_before_it_ended(work: list[Job], slots: int, budget: int) -> None:
    made = simulate(work, slots=slots, budget=budget)
    ends = {span.job.name: span.end for span in made.spans}
    assert all(span.start >= ends.get(name, 0.0) for span in made.spans for name in span.job.after)


@thorough(60)
@given(jobs(), *LIMITS)
def test_the_makespan_is_between_the_bound_and_one_after_the_other(
    work: list[Job], slots: int, budget: int
) -> None:
    made = simulate(work, slots=slots, budget=budget)
    assert made.bound <= made.makespan * (1 + 1e-9) + 1e-9
    assert made.makespan <= sum(job.seconds for job in work) * (1 + 1e-9) + 1e-9


@thorough(60)
@given(jobs(), *LIMITS)
def test_more_room_lowers_the_bound(work: list[Job], slots: int, budget: int) -> None:
    bound = lower_bound(work, slots=slots, budget=budget)
    assert lower_bound(work, slots=slots + 1, budget=budget) <= bound * (1 + 1e-9) + 1e-9
    assert lower_bound(work, slots=slots, budget=budget + 1) <= bound * (1 + 1e-9) + 1e-9


@thorough(60)
@given(jobs(), *LIMITS)
def test_the_order_in_which_jobs_are_given_does_not_matter(work: list[Job], slots: int, budget: int) -> None:
    one = simulate(work, slots=slots, budget=budget)
    assert simulate(work[::-1], slots=slots, budget=budget) == one


def test_with_memory_to_spare_it_is_within_a_third_of_the_bound() -> None:
    """Graham: longest first is at most 4/3 - 1/(3m) of the best, and the bound is at most the best."""
    work = [Job(name=str(n), seconds=s, memory=1) for n, s in enumerate([7, 7, 6, 6, 5, 5, 4, 4, 4])]
    made = simulate(work, slots=4, budget=100)
    assert made.makespan == pytest.approx(15)
    assert made.bound == pytest.approx(12)


def test_the_longest_runs_first_and_small_ones_overtake_what_does_not_fit() -> None:
    work = [
        Job(name="long", seconds=10, memory=6),
        Job(name="large", seconds=9, memory=6),
        Job(name="small", seconds=1, memory=2),
    ]
    made = simulate(work, slots=2, budget=8)
    assert {span.job.name: span.start for span in made.spans} == {"long": 0, "small": 0, "large": 10}
    assert made.peak == 8


def test_a_job_above_the_budget_runs_alone() -> None:
    work = [Job(name="huge", seconds=2, memory=99), Job(name="small", seconds=1, memory=1)]
    made = simulate(work, slots=4, budget=10)
    assert made.makespan == 3
    assert made.peak == 99


def test_a_link_waits_for_its_objects_and_the_chain_with_it_goes_first() -> None:
    work = [
        Job(name="a.o", seconds=3, memory=1),
        Job(name="b.o", seconds=4, memory=1),
        Job(name="a.so", seconds=5, memory=1, after=("a.o", "made long ago")),
    ]
    made = simulate(work, slots=1, budget=10)
    assert [span.job.name for span in made.spans] == ["a.o", "a.so", "b.o"]
    assert tails(work) == {"a.so": 5, "a.o": 8, "b.o": 4}


def test_jobs_that_wait_for_each_other_are_refused() -> None:
    work = [
        Job(name="a", seconds=1, memory=1, after=("b",)), Job(name="b", seconds=1, memory=1, after=("a",))
    ]  # fmt: skip
    with pytest.raises(ValueError, match="wait for each other: a, b"):
        simulate(work, slots=1, budget=1)
