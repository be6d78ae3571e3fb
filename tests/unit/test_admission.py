"""Admission as a pure function: whatever waits and runs, memory and slots hold, and everything ends."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.build.engine.admission import Load, Rules, Wish, choose

WISHES = st.lists(
    st.builds(
        Wish,
        output=st.uuids().map(str),
        memory=st.integers(0, 100),
        urgency=st.floats(0, 1000),
        alone=st.booleans(),
    ),
    max_size=12,
)
LOADS = st.lists(st.builds(Load, memory=st.integers(0, 100), resident=st.integers(0, 100)), max_size=6)
RULES = st.builds(Rules, slots=st.integers(1, 6), budget=st.integers(0, 150), lonely=st.integers(1, 4))


@given(WISHES, LOADS, RULES)
def test_slots_and_memory_hold_unless_one_edge_has_everything(
    waiting: Sequence[Wish], running: Sequence[Load], rules: Rules
) -> None:
    chosen = choose(waiting, running, rules)
    assert len(running) + len(chosen) <= max(rules.slots, len(running))
    used = sum(load.counted for load in running) + sum(wish.memory for wish in chosen)
    assert not chosen or used <= rules.budget or (not running and len(chosen) == 1)
    assert set(chosen) <= set(waiting)
    assert len(set(chosen)) == len(chosen)


@given(WISHES, RULES)
def test_where_nothing_runs_something_starts(waiting: Sequence[Wish], rules: Rules) -> None:
    assert bool(choose(waiting, (), rules)) == bool(waiting)


@given(WISHES, LOADS, RULES)
def test_an_edge_that_runs_alone_has_nothing_beside_it(
    waiting: Sequence[Wish], running: Sequence[Load], rules: Rules
) -> None:
    chosen = choose(waiting, running, rules)
    if any(wish.alone for wish in chosen):
        assert len(chosen) == 1
        assert not running
    assert choose(waiting, [*running, Load(memory=1, alone=True)], rules) == ()


@given(WISHES, LOADS, RULES)
def test_what_is_less_urgent_starts_first_only_where_the_other_does_not_fit(
    waiting: Sequence[Wish], running: Sequence[Load], rules: Rules
) -> None:
    chosen = choose(waiting, running, rules)
    used = sum(load.counted for load in running) + sum(wish.memory for wish in chosen)
    left = [wish for wish in waiting if wish not in chosen and not wish.alone]
    for wish in (wish for wish in chosen if not wish.alone):
        for other in (other for other in left if other.urgency > wish.urgency):
            assert other.memory > wish.memory
            assert used - wish.memory + other.memory > rules.budget


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 120), st.booleans()), max_size=20), RULES)
def test_every_edge_runs_in_the_end(jobs: Sequence[tuple[int, int, bool]], rules: Rules) -> None:
    waiting = [
        Wish(output=str(at), memory=memory, urgency=seconds, alone=alone)
        for at, (seconds, memory, alone) in enumerate(jobs)
    ]
    running: list[tuple[float, str, Load]] = []
    done, now = 0, 0.0
    while waiting or running:
        for wish in choose(waiting, [load for _, _, load in running], rules):
            waiting.remove(wish)
            load = Load(memory=wish.memory, alone=wish.alone)
            heapq.heappush(running, (now + wish.urgency, wish.output, load))
        now, _, _ = heapq.heappop(running)
        done += 1
    assert done == len(jobs)


def test_an_edge_counts_with_what_it_has_where_that_is_more_than_predicted() -> None:
    wish = Wish(output="a", memory=50, urgency=1)
    rules = Rules(slots=4, budget=100)
    assert choose([wish], [Load(memory=40)], rules) == (wish,)
    assert choose([wish], [Load(memory=40, resident=60)], rules) == ()


def test_few_that_run_alone_wait_for_the_end_and_many_do_not() -> None:
    alone = [Wish(output=str(at), memory=1, urgency=9, alone=True) for at in range(4)]
    other = Wish(output="other", memory=1, urgency=1)
    rules = Rules(slots=2, budget=10, lonely=4)
    assert choose([*alone[:3], other], [], rules) == (other,)
    assert choose([*alone, other], [Load(memory=1)], rules) == ()
    assert choose([*alone, other], [], rules) == (alone[0],)
