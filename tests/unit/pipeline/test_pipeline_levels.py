"""The level of the chain: up at once, down one by one after a hold, and no flutter between."""

import pytest

from mesh.pipeline.levels import LevelGauge
from mesh.pipeline.plan import Level, LevelRules

RULES = LevelRules(behind_ms=(1_000, 3_000, 30_000), recover=0.5, hold_ms=10_000)


@pytest.mark.parametrize(
    ("behind_ms", "level"),
    [(-50, 0), (0, 0), (999.9, 0), (1_000, 1), (2_999, 1), (3_000, 2), (29_999, 2), (30_000, 3), (1e9, 3)],
)
def test_a_level_begins_at_its_limit_several_at_once(behind_ms, level):
    assert LevelGauge(RULES).observe(behind_ms, 0.0) == Level(level)


def test_a_level_ends_after_the_hold_and_the_next_after_another():
    gauge = LevelGauge(RULES)
    gauge.observe(60_000, 0.0)
    levels = [int(gauge.observe(100, now)) for now in (1.0, 10.9, 11.0, 20.9, 21.0, 31.0, 100.0)]
    assert levels == [3, 3, 2, 2, 1, 0, 0]


def test_what_is_below_the_limit_but_not_below_its_recovery_holds_the_level():
    gauge = LevelGauge(RULES)
    gauge.observe(1_200, 0.0)
    assert [int(gauge.observe(behind, now)) for now, behind in enumerate((900, 500, 700), 1)] == [1, 1, 1]
    gauge.observe(499, 4.0)
    assert gauge.observe(499, 13.9) == Level.LIGHT
    assert gauge.observe(499, 14.0) == Level.FULL


def test_one_old_reading_begins_the_hold_anew():
    gauge = LevelGauge(RULES)
    gauge.observe(1_000, 0.0)
    gauge.observe(0, 1.0)
    gauge.observe(600, 10.0)
    gauge.observe(0, 11.0)
    assert gauge.observe(0, 20.9) == Level.LIGHT
    assert gauge.observe(0, 21.0) == Level.FULL


def test_a_higher_level_on_the_way_down_begins_the_hold_anew():
    gauge = LevelGauge(RULES)
    gauge.observe(3_000, 0.0)
    gauge.observe(0, 1.0)
    assert gauge.observe(0, 11.0) == Level.LIGHT
    assert gauge.observe(3_500, 12.0) == Level.CHEAP
    assert gauge.observe(0, 13.0) == Level.CHEAP
    assert gauge.observe(0, 22.9) == Level.CHEAP
    assert gauge.observe(0, 23.0) == Level.LIGHT
