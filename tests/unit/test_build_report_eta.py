"""When a build will be done: replayed from a recorded build, with histories that are off, without a clock."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.report_replay import BEGUN, GB, Errors, Recorded, errors_after, perturbed, recorded_entries
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.events import CompileBegun, EdgeDone, EdgeEnded, EdgeStarted, Sample
from winvllm_build.build.report.eta import Estimator
from winvllm_build.build.report.ninjalog import Entry

ENTRIES = recorded_entries()
TENTH = 0.1
LIMIT = 0.10
"""An estimate is right if it is off by no more than this part of the whole time."""


def longest_first(predicted: Callable[[Entry], float], slots: int = 2) -> tuple[Entry, ...]:
    """The recorded edges in the order in which admission lets them run; links at the end."""
    free = [0] * slots
    made = []
    for entry in sorted(ENTRIES, key=lambda entry: (not entry.output.endswith(".o"), -predicted(entry))):
        start = heapq.heappop(free)
        made.append(replace(entry, start=start, end=start + entry.end - entry.start))
        heapq.heappush(free, made[-1].end)
    return tuple(made)


def errors(
    seeds: int, *, spread: float, factor: float = 1.0, order: Callable[..., Sequence[Entry]] | None = None
) -> Errors:
    estimated: list[float] = []
    naive: list[float] = []
    for seed in range(seeds):
        predicted = perturbed(seed, spread=spread, factor=factor)
        entries = order(predicted) if order else ENTRIES
        found = errors_after(Recorded(entries=entries, predicted=predicted), TENTH)
        estimated += found.estimated
        naive += found.naive
    return Errors(estimated=estimated, naive=naive)


def part(values: Sequence[float], share: float) -> float:
    return sorted(map(abs, values))[int(share * (len(values) - 1))]


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("order", [None, longest_first])
def test_an_exact_history_gives_the_end_even_on_a_machine_of_another_speed(
    factor: float, order: Callable[..., Sequence[Entry]] | None
) -> None:
    found = errors(1, spread=0.0, factor=factor, order=order)
    assert max(map(abs, found.estimated)) < 0.03


@pytest.mark.parametrize("order", [None, longest_first])
def test_edges_off_by_a_tenth_leave_it_right_from_a_tenth_of_the_edges_on(
    order: Callable[..., Sequence[Entry]] | None,
) -> None:
    found = errors(6, spread=0.1, order=order)
    assert part(found.estimated, 0.99) < LIMIT
    assert part(found.naive, 0.5) > 2 * LIMIT


def test_edges_off_by_a_fifth_on_a_slow_machine_leave_nearly_all_of_it_right() -> None:
    found = errors(6, spread=0.2, factor=0.6, order=longest_first)
    assert part(found.estimated, 0.9) < LIMIT
    assert statistics.median(map(abs, found.estimated)) < LIMIT / 5
    assert part(found.naive, 0.9) > 1.0


def test_a_straggler_is_noticed_before_it_ends() -> None:
    slow = {entry.output: entry for entry in ENTRIES if "scaled_mm_c2x" in entry.output}
    begun = Recorded(entries=list(slow.values()), predicted=lambda _: 30.0).begun()
    estimator = Estimator(begun)
    started = EdgeStarted(edge=begun.edges[0].edge, attempt=1, at=BEGUN, memory=GB, seconds=30.0)
    estimator.see(started)
    left = [estimator.remaining(BEGUN + age) for age in (0, 20, 30, 60, 120, 240)]
    assert left[0] == pytest.approx(30.0)
    assert all(one is not None and one > 0 for one in left)
    assert left[-1] == pytest.approx(36.0)


def small(count: int = 8, seconds: float = 10.0, memory: int = GB) -> tuple[CompileBegun, Recorded]:
    entries = [
        Entry(start=0, end=10_000, stamp=0, output=f"CMakeFiles/_C.dir/csrc/{n}.cu.o", command=str(n))
        for n in range(count)
    ]
    recorded = Recorded(entries=entries, predicted=lambda _: seconds, memory=lambda _: memory)
    return recorded.begun(), recorded


def test_memory_holds_back_what_slots_would_allow() -> None:
    begun, _ = small(memory=12 * GB)
    assert Estimator(begun).remaining(BEGUN) == pytest.approx(80.0)
    assert Estimator(replace(begun, budget=40 * GB)).remaining(BEGUN) == pytest.approx(40.0)
    shrinking = Estimator(replace(begun, budget=40 * GB))
    shrinking.see(Sample(at=BEGUN, used={}, budget=20 * GB, waiting=0))
    assert shrinking.remaining(BEGUN) == pytest.approx(80.0)


def ended(recorded: Recorded, number: int, outcome: Outcome, seconds: float) -> EdgeRecord:
    record = recorded.record(recorded.entries[number])
    return replace(record, outcome=outcome, ended=record.started + seconds)


def test_what_a_cache_has_is_not_waited_for() -> None:
    begun, recorded = small(count=100)
    estimator = Estimator(begun)
    for number in range(50):
        estimator.see(EdgeEnded(record=ended(recorded, number, Outcome.REUSED, 0.1)))
    left = estimator.remaining(BEGUN)
    assert left is not None
    assert left < 20


def test_an_edge_that_is_run_again_is_still_to_do_and_alone() -> None:
    begun, recorded = small(count=4)
    estimator = Estimator(begun)
    for planned in begun.edges[:2]:
        estimator.see(EdgeStarted(edge=planned.edge, attempt=1, at=BEGUN, memory=GB, seconds=10.0))
    estimator.see(EdgeEnded(record=ended(recorded, 0, Outcome.RETRIED, 5.0)))
    estimator.see(EdgeEnded(record=ended(recorded, 1, Outcome.COMPILED, 10.0)))
    assert estimator.remaining(BEGUN + 10) == pytest.approx(20.0, rel=0.05)


def test_nothing_to_do_is_no_time_and_nothing_known_is_no_estimate() -> None:
    begun, recorded = small(count=1)
    assert Estimator(replace(begun, edges=())).remaining(BEGUN) == 0.0
    done = Estimator(begun)
    done.see(EdgeEnded(record=ended(recorded, 0, Outcome.COMPILED, 10.0)))
    edge_done = EdgeDone(finished=1, total=1, title="", failed=False, elapsed=10.0, remaining=None)
    done.see(edge_done)
    assert done.remaining(BEGUN) == 0.0
    done.see(replace(edge_done, total=3))
    assert done.remaining(BEGUN) is None
