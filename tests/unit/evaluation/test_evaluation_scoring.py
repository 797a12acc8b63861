"""Alerts against the truth: what counts as found, what as false, and how sure that is."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.evaluation.scoring import Opened, Share, judge, pooled
from mesh.simulation.truth import Truth

WINDOW_MS = 64_000


def truth(asset: str, begins_s: int, ends_s: int, kind: str = "stuck") -> Truth:
    return Truth(asset, kind, begins_s * 1_000, ends_s * 1_000, ("temp",), "s", 1)


def opened(asset: str, at_s: int) -> Opened:
    return Opened(asset, at_s * 1_000, "unusual")


def test_a_fault_is_found_by_the_first_alert_until_a_window_after_its_end_and_others_of_it_are_not_false() -> (
    None
):
    quality = judge(
        [truth("a", 100, 200), truth("b", 100, 200)],
        [opened("a", 150), opened("a", 130), opened("b", 263), opened("a", 99), opened("c", 150)],
        1_000,
        WINDOW_MS,
        10.0,
    )
    assert (quality.found.hits, quality.found.of, quality.missed) == (2, 2, 0)
    assert quality.detect_s == (30.0, 163.0)
    assert quality.false_alerts == 2
    assert quality.alerts == 5


def test_what_is_missed_is_counted_and_not_averaged() -> None:
    quality = judge([truth("a", 100, 200), truth("b", 100, 200)], [opened("a", 110)], 100, WINDOW_MS, 1.0)
    assert (quality.mean_detect_s, quality.missed) == (10.0, 1)
    assert isnan(judge([truth("a", 0, 9)], [], 100, WINDOW_MS, 1.0).mean_detect_s)


def test_an_alert_in_a_fault_that_leaves_every_value_true_is_false() -> None:
    quality = judge([truth("a", 100, 200, "clock_skew")], [opened("a", 150)], 100, WINDOW_MS, 1.0)
    assert (quality.found.of, quality.false_alerts) == (0, 1)


def test_healthy_time_is_what_no_fault_takes() -> None:
    quality = judge([truth("a", 0, 3_536)], [], 900, WINDOW_MS, 2.0)
    assert quality.asset_hours == pytest.approx(1.0)
    assert quality.false_windows.of == 450


def test_runs_are_pooled_by_their_counts() -> None:
    one = judge([truth("a", 0, 10)], [opened("a", 5)], 100, WINDOW_MS, 1.0)
    two = judge([truth("a", 0, 10)], [opened("b", 5)], 100, WINDOW_MS, 1.0)
    both = pooled([one, two])
    assert (both.found, both.missed, both.false_alerts, both.detect_s) == (Share(1, 2), 1, 1, (5.0,))


def test_wilsons_interval_is_the_published_one() -> None:
    low, high = Share(
        81, 263
    ).interval  # Wilson's score interval as in Newcombe, Statistics in Medicine 17, 1998
    assert (low, high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))


@given(st.integers(0, 400), st.integers(1, 400))
def test_an_interval_holds_its_share(hits: int, of: int) -> None:
    share = Share(min(hits, of), of)
    low, high = share.interval
    assert 0.0 <= low <= share.value + 1e-9
    assert share.value - 1e-9 <= high <= 1.0
