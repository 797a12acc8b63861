"""What the numbers in a report mean, and that an interval covers what it says."""

import math

import numpy as np
import pytest

from mesh.learning.degradation import measure
from mesh.learning.degradation.evaluate import flips, phm08_score, rmse
from mesh.learning.degradation.interval import Band, Cuts, calibrate, cross_bounds
from mesh.learning.degradation.learner import fit_alarm


def test_rmse_is_in_cycles() -> None:
    assert rmse(np.array([10.0, 20.0]), np.array([13.0, 16.0])) == pytest.approx(math.sqrt(12.5))


@pytest.mark.parametrize(("error", "score"), [(0, 0), (-13, math.e - 1), (10, math.e - 1)])
def test_phm08_costs_a_late_alarm_more_than_an_early_one(error: float, score: float) -> None:
    assert phm08_score(np.array([50.0]), np.array([50.0 + error])) == pytest.approx(score)


def test_phm08_adds_up_over_assets() -> None:
    assert phm08_score(np.zeros(3), np.full(3, 10.0)) == pytest.approx(3 * (math.e - 1))


def test_coverage_counts_the_bounds_in() -> None:
    true = np.array([10.0, 20.0, 30.0, 40.0])
    quality = measure(true, true, np.array([10.0, 21.0, 0.0, 0.0]), np.array([12.0, 22.0, 30.0, 39.0]))
    assert (quality.coverage, quality.below, quality.above) == (0.5, 0.25, 0.25)
    assert quality.mean_width == pytest.approx((2 + 1 + 30 + 39) / 4)


def test_nothing_cannot_be_measured() -> None:
    nothing = np.empty(0)
    with pytest.raises(ValueError, match="nothing to measure"):
        measure(nothing, nothing, nothing, nothing)


def test_a_flip_is_a_decision_that_differs_not_a_number() -> None:
    assert flips(np.array([29.9, 30.0, 31.0]), np.array([29.0, 30.1, 99.0]), 30) == 1


def cuts(units: int, seed: int) -> Cuts:
    """Errors that grow with the prediction; those of one unit lean to one side together."""
    draw = np.random.default_rng(seed)
    predicted = draw.uniform(0, 125, (units, 20))
    lean = draw.normal(0, 1, (units, 1)) + draw.normal(0, 1, (units, 20))
    true = np.maximum(predicted + lean * (2 + predicted / 10), 0)
    return Cuts(predicted.ravel(), true.ravel(), np.repeat(np.arange(units) % 5, 20), units)


def test_ninety_percent_of_unseen_assets_are_covered() -> None:
    seen, unseen = cuts(100, 1), cuts(1000, 2)
    band = calibrate(seen, 0.9)
    quality = measure(unseen.true, unseen.predicted, band.low(unseen.predicted), band.high(unseen.predicted))
    assert 0.87 <= quality.coverage <= 0.95
    crossed = measure(seen.true, seen.predicted, *cross_bounds(seen, 0.9))
    assert 0.87 <= crossed.coverage <= 0.95


def test_the_interval_widens_where_errors_do_and_holds_the_prediction() -> None:
    band = calibrate(cuts(100, 1), 0.9)
    predicted = np.linspace(0, 150, 301)
    low, high = band.low(predicted), band.high(predicted)
    assert (low >= 0).all()
    assert (low <= predicted).all()
    assert (predicted < high).all()
    assert (high - low)[-1] > 2 * (high - low)[0]


def test_the_upper_bound_at_the_cap_is_what_lives_allow() -> None:
    left = np.repeat([130.0, 300.0], 50)
    near_cap = Cuts(np.full(100, 125.0), left, np.arange(100) % 5, 100)
    assert calibrate(near_cap, 0.9).high(np.array([125.0]))[0] >= 300


def test_excess_is_one_on_the_bounds() -> None:
    band = Band(np.array([0.0, 100.0]), np.array([2.0, 12.0]), np.array([4.0, 24.0]))
    at = np.array([50.0, 50.0])
    assert band.excess(at, np.array([43.0, 64.0])).tolist() == [1, 1]


def test_the_alarm_falls_with_the_prediction() -> None:
    predicted = np.linspace(0, 100, 101)
    alarm = fit_alarm(predicted, predicted, 30)
    assert (np.diff(alarm.probability(predicted)) < 0).all()
    assert alarm.middle == pytest.approx(30.5, abs=1)


@pytest.mark.parametrize(
    ("true", "reason"),
    [(np.full(4, 99.0), "every asset or none"), (np.array([99.0, 99.0, 1.0, 1.0]), "do not fall")],
)
def test_an_alarm_that_cannot_be_learned_is_refused(true: np.ndarray, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fit_alarm(np.arange(4.0), true, 30)
