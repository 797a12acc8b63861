"""The level of the chain, whatever the lag does: it obeys its limits, and goes down by one after a hold at most."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.pipeline.levels import LevelGauge
from mesh.pipeline.plan import Level, LevelRules

RULES = LevelRules(behind_ms=(1_000, 3_000, 30_000), recover=0.5, hold_ms=2_000)
SEEN = st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(-100.0, 60_000.0)), max_size=60)


@given(SEEN)
def test_the_level_never_changes_by_more_than_the_rules_allow(seen):
    gauge, now, fell, unsettled = LevelGauge(RULES), 0.0, float("-inf"), 0.0
    for wait, behind in seen:
        now += wait
        before, level = gauge.level, gauge.observe(behind, now)
        reached = Level(sum(behind >= limit for limit in RULES.behind_ms))
        assert level >= reached, "a limit that is passed counts at once"
        assert level <= max(before, reached), "nothing else raises it"
        if level < before:
            assert level == before - 1
            assert now - max(fell, unsettled) >= RULES.hold_ms / 1e3
            fell = now
        if level > Level.FULL and behind >= RULES.recover * RULES.behind_ms[level - 1]:
            unsettled = now


@given(SEEN, st.floats(0.0, 400.0))
def test_it_returns_to_full_by_itself(seen, calm):
    gauge, now = LevelGauge(RULES), 0.0
    for wait, behind in seen:
        now += wait
        gauge.observe(behind, now)
    levels = [gauge.observe(calm, now + after) for after in range(12)]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] == Level.FULL
