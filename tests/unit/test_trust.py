"""What edges are reckoned with follows what became of the predictions before."""

from __future__ import annotations

import math
import random

import pytest

from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.trust import BELIEFS, Trust

MB = 10**6


def cost(memory: float, basis: Basis = Basis.MEASURED) -> Cost:
    return Cost(seconds=1.0, memory=int(memory), size=0, basis=basis)


@pytest.mark.parametrize(
    ("basis", "factor"),
    [(Basis.MEASURED, 1.01), (Basis.SIMILAR, 1.15), (Basis.RECORDED, 1.2), (Basis.CLASS, 1.0)],
)
def test_before_anything_ran_the_margin_is_that_of_the_basis(basis: Basis, factor: float) -> None:
    assert set(BELIEFS) == set(Basis)
    assert Trust().need(cost(1000 * MB, basis)) == pytest.approx(factor * 1000 * MB, rel=0.005)


@pytest.mark.parametrize("basis", [Basis.MEASURED, Basis.SIMILAR, Basis.RECORDED])
def test_the_margin_goes_where_predictions_come_true(basis: Basis) -> None:
    trust = Trust()
    for number in range(300):
        trust.learn(cost(1000 * MB + number * MB, basis), 1000 * MB + number * MB)
    assert trust.need(cost(2000 * MB, basis)) == pytest.approx(2000 * MB, rel=0.04)
    assert trust.need(cost(2000 * MB, basis)) > 2000 * MB


def test_each_class_of_files_is_judged_by_itself() -> None:
    trust = Trust()
    for _ in range(100):
        trust.learn(cost(800 * MB, Basis.CLASS), 400 * MB)
    assert trust.need(cost(800 * MB, Basis.CLASS)) < 500 * MB
    assert trust.need(cost(4000 * MB, Basis.CLASS)) == pytest.approx(4000 * MB, rel=0.005)


def test_what_needs_twice_as_much_as_predicted_is_soon_reckoned_with_twice_as_much() -> None:
    trust = Trust()
    for _ in range(20):
        trust.learn(cost(500 * MB), 1000 * MB)
    assert 900 * MB < trust.need(cost(500 * MB)) < 1300 * MB
    assert trust.need(cost(500 * MB, Basis.RECORDED)) < 700 * MB, "each basis has a line of its own"


def test_predictions_that_say_little_are_pulled_to_what_edges_need() -> None:
    """Peaks around 2 GB, predictions off by factors of two: a small prediction is no promise."""
    chance = random.Random(5)  # noqa: S311 - not for secrets
    trust, short = Trust(), 0
    for at in range(400):
        peak = 2000 * MB * chance.lognormvariate(0, 0.2)
        predicted = cost(peak * chance.lognormvariate(0, 0.7))
        short += at >= 40 and trust.need(predicted) < peak
        trust.learn(predicted, int(peak))
    assert short < 0.25 * 360
    assert trust.need(cost(800 * MB)) > 1600 * MB
    assert trust.need(cost(6000 * MB)) < 4000 * MB


def test_an_edge_that_was_killed_had_wanted_more() -> None:
    trust = Trust()
    trust.learn(cost(1000 * MB), 1000 * MB, killed=True)
    assert trust.need(cost(1000 * MB)) > 1010 * MB


def test_small_edges_teach_nothing_unless_they_turn_out_large() -> None:
    trust = Trust.of(fixed=None, budget=8000 * MB, slots=2)
    before = trust.need(cost(500 * MB))
    trust.learn(cost(20 * MB), 40 * MB)
    trust.learn(cost(0), 4000 * MB)
    trust.learn(cost(400 * MB), 0)
    assert trust.need(cost(500 * MB)) == before
    trust.learn(cost(20 * MB), 4000 * MB)
    assert trust.need(cost(500 * MB)) > before


def test_a_profile_that_says_what_each_edge_needs_is_believed() -> None:
    trust = Trust(fixed=3 * MB)
    trust.learn(cost(1000 * MB), 2000 * MB)
    assert trust.need(cost(1000 * MB)) == 3 * MB
    assert Trust().need(cost(0)) == 0


def test_no_prediction_makes_the_sum_of_squares_negative() -> None:
    trust = Trust()
    for _ in range(5000):
        trust.learn(cost(1_000_000_007), 1_000_000_007)
    assert math.isfinite(trust.need(cost(1_000_000_007)))
