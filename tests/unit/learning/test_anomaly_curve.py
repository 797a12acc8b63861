"""Curves give healthy distances the surprise of their rank, go on as an exponential tail, and never end in a wall."""

import numpy as np
import pytest

from mesh.learning.anomaly.curve import CAP, FEATURE_TAILS, MEMBER_TAILS, feature_curve, member_curve


def test_a_member_s_curve_says_the_share_beyond():
    distances = np.random.default_rng(1).gamma(4, 1, 20_000)
    curve = member_curve(distances)
    for tail in MEMBER_TAILS:
        at = np.quantile(distances, 1 - tail, keepdims=True)
        assert curve.surprise(at)[0] == pytest.approx(-np.log(tail), abs=0.01)


def test_an_exponential_tail_is_carried_on_as_it_is():
    curve = member_curve(np.random.default_rng(2).exponential(1.0, 200_000))
    assert curve.surprise(np.array([15.0]))[0] == pytest.approx(15, rel=0.1)


def test_a_lighter_tail_is_understated_and_surprise_is_capped():
    curve = feature_curve(np.abs(np.random.default_rng(3).normal(size=(100_000, 1, 1))))
    six_sigma = curve.surprise(np.array([[[6.0]]])).item()
    assert -np.log(FEATURE_TAILS[-1]) < six_sigma < -np.log(1.97e-9)
    assert curve.surprise(np.array([[[1e30]]])).item() == CAP


def test_surprise_never_falls_and_begins_at_0():
    curve = member_curve(np.random.default_rng(4).gamma(2, 1, 500))
    surprise = curve.surprise(np.linspace(0, 50, 2_000))
    assert surprise[0] == 0
    assert (np.diff(surprise) >= 0).all()


def test_a_feature_that_never_moves_gets_the_normal_curve():
    curve = feature_curve(np.zeros((500, 1, 1)))
    assert curve.surprise(np.full((1, 1, 1), 3.2905)).item() == pytest.approx(-np.log(0.001), abs=0.01)


def test_equal_distances_make_no_infinite_slope():
    assert np.isfinite(member_curve(np.full(500, 2.0)).bends).all()
    assert np.isfinite(feature_curve(np.full((500, 2, 2), 1.0)).bends).all()
