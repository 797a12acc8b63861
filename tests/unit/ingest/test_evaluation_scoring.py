"""What counts as found, false and healthy, on alerts and faults made by hand."""

import numpy as np
import pytest

from ingest.evaluation.intervals import NOTHING, rate, share
from ingest.evaluation.scoring import ANY, Fault, Told, Watched, pooled, score

WINDOW_MS, HOP_MS = 64_000, 8_000
FAULT = Fault("a", "drift", 100_000, 200_000, ("flow",))


def watched(**windows):
    times = {asset: np.array(at, np.int64) for asset, at in windows.items()}
    return Watched(times, WINDOW_MS, HOP_MS, hours=0.5)


def told(at, asset="a", rule="r"):
    return Told(asset, rule, at)


@pytest.mark.parametrize(
    ("at", "found"),
    [(99_999, False), (100_000, True), (200_000, True), (264_000, True), (264_001, False)],
)
def test_an_alert_finds_a_fault_from_its_beginning_until_a_window_after_its_end(at, found):
    result = score(ANY, [FAULT], [told(at)], watched())
    assert (result.found, len(result.false)) == (int(found), int(not found))


def test_the_first_alert_counts_and_a_missed_fault_is_not_averaged_away():
    missed = Fault("b", "drift", 0, 1_000)
    result = score(ANY, [FAULT, missed], [told(150_000), told(110_000)], watched())
    assert (result.faults, result.found) == (2, 1)
    assert result.mttd_s == (10.0, 10.0)
    assert [verdict.delay_s for verdict in result.verdicts] == [10.0, None]


def test_an_alert_of_another_asset_or_in_a_fault_with_true_values_is_false():
    skew = Fault("a", "clock_skew", 0, 50_000, harmless=True)
    result = score(ANY, [FAULT, skew], [told(150_000, asset="b"), told(20_000)], watched())
    assert (result.faults, result.found) == (1, 0)
    assert [alert.opened_ms for alert in result.false] == [20_000, 150_000]


def test_a_digest_is_an_alert_that_finds_nothing_and_is_not_false():
    result = score(ANY, [FAULT], [Told("", "digest", 150_000)], watched())
    assert (result.alerts, result.found, result.false) == (1, 0, ())
    assert result.alerts_per_hour == 2.0


def test_each_rule_is_judged_by_its_own_alerts():
    alerts = [told(120_000, rule="early"), told(190_000, rule="late"), told(10_000, rule="late")]
    early, late = (score(rule, [FAULT], alerts, watched()) for rule in ("early", "late"))
    assert (early.mttd_s, len(early.false)) == ((20.0, 20.0), 0)
    assert (late.mttd_s, len(late.false)) == ((90.0, 90.0), 1)


def test_a_window_is_healthy_where_it_holds_no_reading_of_a_fault():
    seen = watched(a=[92_000, 100_000, 264_000, 272_000], b=[150_000])
    result = score(ANY, [FAULT], [told(92_000)], seen)
    assert result.healthy_windows == 3
    assert result.asset_hours == pytest.approx(3 * 8 / 3_600)
    assert result.fpr.value == pytest.approx(1 / 3)


def test_runs_are_counted_together():
    one = score(ANY, [FAULT], [told(110_000)], watched(a=[0]))
    other = score(ANY, [FAULT], [told(0)], watched(a=[0]))
    both = pooled([one, other])
    assert (both.faults, both.found, both.alerts, len(both.false)) == (2, 1, 2, 1)
    assert (both.healthy_windows, both.hours) == (2, 1.0)


def test_the_intervals_are_those_of_the_books():
    # Wilson: 15 of 15, as 1 / (1 + z²/n); Byar: within a hundredth of the exact Poisson limits of 10 events, 4.795 and 18.390.
    whole = share(15, 15)
    assert (whole.value, whole.high) == (1.0, 1.0)
    assert whole.low == pytest.approx(15 / (15 + 1.959964**2))
    ten = rate(10, 1.0)
    assert (ten.low, ten.high) == (pytest.approx(4.795, abs=0.01), pytest.approx(18.390, abs=0.01))
    assert rate(0, 2.0).low == 0.0
    assert share(0, 0) is rate(3, 0.0) is NOTHING
