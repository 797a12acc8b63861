"""Our detectors against River's on the same streams, and what the watch makes of rows."""

import numpy as np
import pytest
from river.drift import ADWIN
from river.drift import PageHinkley as RiverPageHinkley

from mesh.drift import Adwin, Alarm, DriftPolicy, DriftWatch, PageHinkley


def stream(kind: str, seed: int, count: int = 1_500) -> np.ndarray:
    draw = np.random.default_rng(seed)
    values = draw.normal(0.4, 0.08, count)
    if kind == "step":
        values[count // 2 :] += 0.15
    elif kind == "slope":
        values += np.linspace(0, 0.4, count)
    elif kind == "wider":
        values[count // 2 :] += draw.normal(0, 0.3, count - count // 2)
    return values


@pytest.mark.parametrize("clock", [1, 32])
@pytest.mark.parametrize("kind", ["none", "step", "slope", "wider"])
def test_adwin_cuts_where_rivers_does(kind: str, clock: int) -> None:
    # River's wrapper forgets everything after a cut, so the two agree up to the first one of each life.
    for seed in range(3):
        ours, theirs = Adwin(clock=clock), ADWIN(clock=clock)
        for value in stream(kind, seed).tolist():
            theirs.update(value)
            assert ours.update(value) == theirs.drift_detected
            assert ours.width == theirs.width
            assert ours.mean == pytest.approx(theirs.estimation)
            if theirs.drift_detected:
                ours, theirs = Adwin(clock=clock), ADWIN(clock=clock)


@pytest.mark.parametrize("kind", ["none", "step", "slope", "wider"])
def test_page_hinkley_alarms_where_rivers_does(kind: str) -> None:
    for seed in range(3):
        ours, theirs = PageHinkley(0.005, 5.0), RiverPageHinkley(delta=0.005, threshold=5.0)
        for value in stream(kind, seed).tolist():
            theirs.update(value)
            assert ours.update(value) == theirs.drift_detected


def test_adwin_lets_go_of_the_past_and_keeps_what_is_alike() -> None:
    adwin = Adwin()
    draw = np.random.default_rng(5)
    for value in draw.normal(0.2, 0.05, 2_000).tolist():
        assert not adwin.update(value)
    assert adwin.width == 2_000
    for value in draw.normal(0.7, 0.05, 500).tolist():
        adwin.update(value)
    assert adwin.detections >= 1
    assert 400 < adwin.width < 600
    assert adwin.mean == pytest.approx(0.7, abs=0.02)


def test_adwin_rarely_cuts_where_nothing_changes() -> None:
    cuts = 0
    for seed in range(40):
        adwin = Adwin(delta=0.002, clock=1)
        cuts += sum(adwin.update(value) for value in np.random.default_rng(seed).random(500).tolist())
    assert cuts <= 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    for detector in (Adwin(), PageHinkley()):
        with pytest.raises(ValueError, match="finite"):
            detector.update(value)


@pytest.mark.parametrize(
    "make",
    [lambda: Adwin(0.0), lambda: Adwin(clock=0), lambda: PageHinkley(delta=-1), lambda: PageHinkley(least=0)],
)
def test_impossible_settings_are_refused(make) -> None:
    with pytest.raises(ValueError, match="must be"):
        make()


POLICY = DriftPolicy(period_ms=1_000, threshold=0.3, quiet_ms=100_000)


def rows(values: np.ndarray, each: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Rows around each stretch's mean, and their times."""
    draw = np.random.default_rng(9)
    spread = draw.normal(0, 0.01, (len(values), each))
    return (values[:, None] + spread).ravel(), np.arange(len(values) * each) * 100


def test_the_watch_names_the_stream_that_changed_and_is_silent_for_a_while() -> None:
    watch = DriftWatch(POLICY)
    moved, times = rows(np.r_[np.full(60, 0.2), np.full(60, 0.5)])
    steady, _ = rows(np.full(120, 0.4))
    alarms = watch.observe({"score": moved, "input.flow": steady}, times)
    assert [one.stream for one in alarms] == ["score"]
    (alarm,) = alarms
    assert 60_000 < alarm.at < 75_000
    assert alarm.before < 0.3 < alarm.now
    assert watch.means["input.flow"] == pytest.approx(0.4, abs=0.02)


def test_how_rows_are_cut_into_batches_changes_no_alarm() -> None:
    moved, times = rows(np.r_[np.full(60, 0.2), np.full(60, 0.5)])
    whole = DriftWatch(POLICY).observe({"score": moved}, times)
    watch = DriftWatch(POLICY)
    cut: list[Alarm] = []
    for begin in range(0, len(moved), 7):
        some = slice(begin, begin + 7)
        cut += watch.observe({"score": moved[some]}, times[some])
    assert [(one.at, one.detectors) for one in cut] == [(one.at, one.detectors) for one in whole]


def test_values_that_no_sum_bears_are_not_heard_and_do_not_deafen() -> None:
    watch = DriftWatch(DriftPolicy(period_ms=1))
    values = np.r_[np.full(200, 0.2), [1.7e308, 1.7e308, -1e200, np.inf], np.full(200, 0.8)]
    times = np.r_[np.arange(200), np.full(4, 200), np.arange(201, 401)]
    alarms = watch.observe({"score": values}, times)
    assert alarms
    assert 0.2 <= watch.means["score"] <= 0.8


def test_unknown_values_say_nothing_and_streams_are_bounded() -> None:
    watch = DriftWatch(DriftPolicy(most_streams=1))
    times = np.arange(3) * 60_000
    assert watch.observe({"a": np.array([np.nan, 1.0, np.nan]), "b": np.ones(3)}, times) == []
    assert watch.refused == 1
    assert list(watch.means) == ["a"]
