"""Scoring: what must hold for any faults and alerts."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.evaluation.intervals import rate, share
from ingest.evaluation.scoring import ANY, Fault, Told, Watched, pooled, score

WINDOW_MS = 64
TIMES = st.integers(0, 2_000)
ASSETS = st.sampled_from(["a", "b", "c"])
FAULTS = st.lists(
    st.builds(
        lambda asset, begins, lasts, harmless: Fault(asset, "k", begins, begins + lasts, harmless=harmless),
        ASSETS,
        TIMES,
        st.integers(1, 300),
        st.booleans(),
    ),
    max_size=8,
)
ALERTS = st.lists(st.builds(Told, ASSETS, st.sampled_from(["r", "s"]), TIMES), max_size=12)
WATCHED = Watched({name: np.arange(0, 2_400, 8) for name in "abc"}, WINDOW_MS, 8, 1.0)


def judged(faults, alerts, rule=ANY):
    return score(rule, faults, alerts, WATCHED)


def tells(alert, fault):
    return (
        not fault.harmless
        and alert.asset == fault.asset
        and fault.from_ms <= alert.opened_ms <= fault.to_ms + WINDOW_MS
    )


@given(FAULTS, ALERTS)
def test_it_is_what_a_plain_loop_says(faults, alerts):
    result = judged(faults, alerts)
    real = [fault for fault in faults if not fault.harmless]
    assert result.faults == len(real)
    assert result.found == sum(any(tells(alert, fault) for alert in alerts) for fault in real)
    assert len(result.false) == sum(not any(tells(alert, fault) for fault in faults) for alert in alerts)
    first = [min((a.opened_ms for a in alerts if tells(a, f)), default=None) for f in real]
    delays = [(at - f.from_ms) / 1e3 for at, f in zip(first, real, strict=True) if at is not None]
    assert result.delays_s == delays


@given(FAULTS, ALERTS, st.randoms(use_true_random=False), st.integers(-500, 500))
def test_neither_order_nor_the_clock_matters(faults, alerts, chance, shift):
    shuffled = chance.sample(alerts, len(alerts))
    before, after = judged(faults, alerts), judged(faults, shuffled)
    assert (before.found, before.delays_s, len(before.false)) == (
        after.found,
        after.delays_s,
        len(after.false),
    )
    moved = score(
        ANY,
        [replace(one, from_ms=one.from_ms + shift, to_ms=one.to_ms + shift) for one in faults],
        [replace(one, opened_ms=one.opened_ms + shift) for one in alerts],
        replace(WATCHED, windows={name: times + shift for name, times in WATCHED.windows.items()}),
    )
    assert (moved.delays_s, len(moved.false), moved.healthy_windows) == (
        before.delays_s,
        len(before.false),
        before.healthy_windows,
    )


@given(FAULTS, ALERTS)
def test_all_rules_together_find_what_any_of_them_finds(faults, alerts):
    whole, *each = (judged(faults, alerts, rule) for rule in (ANY, "r", "s"))
    assert whole.alerts == sum(one.alerts for one in each)
    assert len(whole.false) == sum(len(one.false) for one in each)
    assert max(one.found for one in each) <= whole.found <= sum(one.found for one in each)


@given(FAULTS, ALERTS, FAULTS, ALERTS)
def test_pooling_adds_up(faults, alerts, more_faults, more_alerts):
    one, other = judged(faults, alerts), judged(more_faults, more_alerts)
    both = pooled([one, other])
    assert both.found == one.found + other.found
    assert both.delays_s == [*one.delays_s, *other.delays_s]
    assert both.healthy_windows == one.healthy_windows + other.healthy_windows


@given(st.integers(0, 500), st.integers(1, 500), st.integers(2, 50))
def test_a_share_lies_in_its_interval_which_narrows_with_more_trials(hits, more, times):
    of = hits + more
    one, many = share(hits, of), share(hits * times, of * times)
    assert 0 <= one.low <= one.value <= one.high <= 1
    assert many.high - many.low < one.high - one.low
    mirrored = share(of - hits, of)
    assert math.isclose(one.low, 1 - mirrored.high, abs_tol=1e-9)


@given(st.integers(0, 500), st.floats(0.01, 1e4), st.integers(2, 50))
def test_a_rate_lies_in_its_interval_and_scales_with_exposure(events, exposure, times):
    one, longer = rate(events, exposure), rate(events, exposure * times)
    assert 0 <= one.low <= one.value <= one.high
    assert math.isclose(longer.high * times, one.high)
