"""Which rows are drawn, whole batches at a time, and which the models are unsure of."""

import numpy as np
import pytest

from mesh.review.places import record_places
from mesh.review.plan import UnsurePlan
from mesh.review.sampling import HOUR_MS, AuditPlan, AuditSampler
from mesh.review.skipping import SkipSampler
from mesh.review.unsure import UnsureRows


def test_records_fall_evenly_and_always_in_the_same_place():
    places = record_places("s", "t", [0] * 40_000, range(10**9, 10**9 + 40_000))
    counts = np.histogram(places, bins=20, range=(0, 1))[0]
    assert ((counts - 2_000) ** 2 / 2_000).sum() < 45  # chi-square of 19 degrees: more once in a thousand
    assert abs(np.corrcoef(places[:-1], places[1:])[0, 1]) < 0.02
    some = record_places("s", "t", [1, 0, 1], [5, 10**9 + 7, 6])
    assert some[1] == places[7]
    assert record_places("s", "t", [1], [5])[0] == some[0]


@pytest.mark.parametrize(("salt", "topic", "partition"), [("x", "t", 0), ("s", "u", 0), ("s", "t", 1)])
def test_another_stream_is_another_draw(salt, topic, partition):
    places = record_places("s", "t", [0] * 2_000, range(2_000))
    other = record_places(salt, topic, [partition] * 2_000, range(2_000))
    assert abs(np.corrcoef(places, other)[0, 1]) < 0.1


def test_rows_of_one_record_fall_apart():
    places = record_places("s", "t", [0] * 3, [7] * 3, np.array([0, 1, 2]))
    assert len(set(places.tolist())) == 3
    assert places[0] == record_places("s", "t", [0], [7])[0]


def test_a_row_is_drawn_with_the_probability_that_is_stored():
    sampler, now = AuditSampler(AuditPlan(share=0.0, least_per_hour=200.0)), 0
    weights, rows = 0.0, 0
    for turn in range(200):
        now += 60_000
        places = record_places("s", "t", [0] * 1_000, range(turn * 1_000, turn * 1_000 + 1_000))
        drawn = sampler.draw_at(
            places, np.arange(1_000) % 50 == 0, lambda row, turn=turn: f"{turn}/{row}", now
        )
        if turn > 20:
            weights += sum(1 / one.inclusion for one in drawn)
            rows += 1_000
    assert weights == pytest.approx(rows, rel=0.25)
    again = sampler.draw_at(places, np.arange(1_000) % 50 == 0, lambda row: f"199/{row}", now)
    assert again == []  # a batch that is read again offers nothing twice


def test_skipping_draws_as_often_as_it_says():
    draws = iter(np.random.default_rng(5).random(100_000).tolist())
    sampler = SkipSampler(AuditPlan(share=0.0, least_per_hour=3_600.0), lambda: next(draws))
    sizes = np.random.default_rng(6).integers(1, 9, 50_000).tolist()
    assert not sampler.passed(5)  # nothing is drawn before the rate is known
    sampler.adjust(0)
    weights = rows = drawn = 0
    for at, size in enumerate(sizes):
        if at % 500 == 0:
            sampler.adjust(1_000 * (at // 500 + 1))
        if sampler.passed(size):
            places = sampler.drawn(size)
            assert all(0 <= place < size for place in places)
            assert places == sorted(set(places))
            weights += len(places) / sampler.inclusion
            drawn += len(places)
        rows += size
    assert weights == pytest.approx(rows, rel=0.25)
    assert 60 < drawn < 160  # one a second for a hundred seconds


def test_skipping_can_draw_every_row():
    sampler = SkipSampler(AuditPlan(share=0.0, least_per_hour=1e12), lambda: 0.5)
    sampler.adjust(HOUR_MS)
    sampler.passed(10**6)
    sampler.adjust(2 * HOUR_MS)
    assert sampler.inclusion == 1.0
    assert sampler.passed(3)
    assert sampler.drawn(3) == [0, 1, 2]
    assert sampler.passed(1)
    assert sampler.drawn(1) == [0]


def test_models_that_disagree_are_doubt_enough():
    unsure = UnsureRows(UnsurePlan(confidence=0.3, disagreement=0.5, per_hour=3, quiet_ms=1_000))
    confidence = np.array([0.9, 0.1, 0.9, 0.2, np.nan])
    spread = np.array([0.8, 0.0, 0.4, 0.6, 0.9])
    names = "abcde"
    assert unsure.choose(confidence, spread, names.__getitem__, 0) == [3, 1, 4]
    assert not unsure.room(HOUR_MS - 1)
    assert unsure.choose(confidence, spread, names.__getitem__, HOUR_MS - 1) == []
    assert unsure.choose(None, spread[:1], names.__getitem__, HOUR_MS) == [0]
    assert unsure.choose(None, spread[:1], names.__getitem__, HOUR_MS + 999) == []  # asked about just now
    assert UnsureRows(UnsurePlan(per_hour=0)).room(0) is False
