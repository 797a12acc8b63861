"""What is usual for a machine: silence while it is learnt, the sensor that left it, and faults that do not become usual."""

from dataclasses import replace

import numpy as np
import pytest

from ingest.stages.detect import WARM_UP, Detect
from ingest.stages.rows import Rows
from mesh.signals import Grid, Sensor
from mesh.signals.sensors import Telemetry
from mesh.signals.slots import SlotArrays

TELEMETRY = Telemetry(
    sensors=(Sensor("temp"), Sensor("flow"), Sensor("speed")),
    grid=Grid(),
    features=("rms", "mean", "std"),
)
MEAN, STD = 1, 2
SECOND = 5


def rows(features, slot=None):
    """Windows [M, S, F], of one asset where nothing else is said."""
    count = len(features)
    slot = np.zeros(count, np.int64) if slot is None else np.array(slot)
    at = np.arange(count)
    return Rows(slot, [f"pump-{each}" for each in slot], at * 1_000, at, np.asarray(features, np.float64))


def usual(count, seed=1):
    """Windows as a healthy machine gives: means about 50, deviations about 2."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0.0, 0.5, (count, 3, 3))
    features[:, :, MEAN] += 50.0
    features[:, :, STD] += 2.0
    return features


def learnt(count=100, telemetry=TELEMETRY):
    detect = Detect(telemetry)
    detect.step(rows(usual(count)))
    return detect


def test_nothing_is_said_while_an_asset_warms_up():
    windows = usual(WARM_UP + 1)
    windows[5, 2, MEAN] = 1e6
    found = Detect(TELEMETRY).step(rows(windows)).columns
    assert found["z"][:WARM_UP].tolist() == [0.0] * WARM_UP
    assert set(found["sensor"][:WARM_UP]) == {"temp"}
    assert found["z"][WARM_UP] > 0


@pytest.mark.parametrize(("feature", "moved"), [(MEAN, 10.0), (MEAN, -10.0), (STD, 10.0)])
@pytest.mark.parametrize("sensor", [0, 1, 2])
def test_the_sensor_whose_level_or_spread_left_the_usual_is_named(sensor, feature, moved):
    detect = learnt()
    quiet = detect.step(rows(usual(20, seed=2))).columns
    window = usual(1, seed=3)
    window[0, sensor, feature] += moved
    found = detect.step(rows(window)).columns
    assert quiet["z"].max() < 8
    assert found["z"][0] > 12
    assert found["sensor"][0] == ("temp", "flow", "speed")[sensor]


def test_a_feature_that_is_not_followed_says_nothing():
    window = usual(1, seed=3)
    plain = learnt().step(rows(window)).columns["z"][0]
    window[0, :, 0] += 1e6
    assert learnt().step(rows(window)).columns["z"][0] == plain


def test_a_fault_that_lasts_does_not_become_usual_at_once():
    detect = learnt()
    fault = usual(40, seed=4)
    fault[:, 1, MEAN] += 50.0
    z = detect.step(rows(fault)).columns["z"]
    assert z[0] > 60
    assert z[:20].min() > 20
    assert z.min() > 6, "many windows later it still stands out"
    after = detect.step(rows(usual(1, seed=5))).columns["z"][0]
    assert after < z.min(), "what was usual before still is"


def test_one_window_far_out_hardly_moves_what_is_usual():
    moved, quiet = learnt(), learnt()
    window = usual(1, seed=6)
    quiet.step(rows(window))
    window[0, 1, MEAN] = 1e9
    moved.step(rows(window))
    level, spread = (quiet.states[0][name][0, 1, 0] for name in ("level", "spread"))
    assert abs(moved.states[0]["level"][0, 1, 0] - level) < spread
    assert moved.states[0]["spread"][0, 1, 0] < 1.2 * spread


def test_what_stays_elsewhere_becomes_usual_in_the_end():
    detect = learnt()
    elsewhere = usual(400, seed=7)
    elsewhere[:, 1, MEAN] += 20.0
    assert detect.step(rows(elsewhere)).columns["z"][-50:].max() < 8


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, WARM_UP // 2, 60])
def test_what_is_no_number_is_not_remembered_for_ever(at, bad):
    windows = usual(100)
    windows[at, 1, MEAN] = bad
    detect = Detect(TELEMETRY)
    said = detect.step(rows(windows)).columns["z"]
    assert np.isfinite(said).all()
    far = usual(1, seed=9)
    far[0, 1, MEAN] += 40.0
    assert detect.step(rows(far)).columns["z"][0] > 20


def test_a_state_that_holds_no_number_begins_anew():
    detect = learnt()
    (state,) = detect.states
    state["level"][0, 1, 0] = np.nan
    said = detect.step(rows(usual(WARM_UP + 5, seed=4))).columns["z"]
    assert said[:WARM_UP].tolist() == [0.0] * WARM_UP
    assert (said[WARM_UP:] > 0).all()


def test_several_windows_of_an_asset_in_a_batch_are_as_one_by_one():
    windows = usual(60)
    windows[30:, 0, MEAN] += 7.0
    slot = [0] * 25 + [1] * 5 + [2] * 30
    together = Detect(TELEMETRY).step(rows(windows, slot)).columns
    alone = Detect(TELEMETRY)
    for at in range(60):
        found = alone.step(rows(windows[at : at + 1], slot[at : at + 1])).columns
        assert found["z"][0] == together["z"][at]
        assert found["sensor"][0] == together["sensor"][at]


def test_an_asset_is_judged_by_itself():
    windows = usual(40)
    beside = usual(40, seed=SECOND) + 1_000.0
    both = Detect(TELEMETRY).step(rows(np.concatenate([windows, beside]), [0] * 40 + [1] * 40)).columns["z"]
    np.testing.assert_array_equal(both[:40], Detect(TELEMETRY).step(rows(windows)).columns["z"])


def test_it_goes_on_from_bytes():
    first, second = learnt(), Detect(TELEMETRY)
    (state,) = second.states
    assert isinstance(state, SlotArrays)
    state.load([0], first.states[0].dump(np.array([0])))
    after = rows(usual(10, seed=SECOND))
    np.testing.assert_array_equal(first.step(after).columns["z"], second.step(after).columns["z"])


@pytest.mark.parametrize("still", [0.0, 3.5, -1e9])
def test_a_sensor_that_never_moves_is_not_infinitely_far_when_it_does(still):
    detect = Detect(TELEMETRY)
    windows = np.full((30, 3, 3), still)
    windows[29] += 1.0
    z = detect.step(rows(windows)).columns["z"]
    assert np.isfinite(z).all()
    assert z[:29].max() == 0.0
    assert z[29] > 0.0


def test_without_followed_features_everything_is_usual():
    detect = learnt(telemetry=replace(TELEMETRY, features=("rms", "slope", "crest")))
    found = detect.step(rows(usual(3) + 1e6)).columns
    assert found["z"].tolist() == [0.0, 0.0, 0.0]


def test_no_windows_are_no_work():
    found = Detect(TELEMETRY).step(rows(np.empty((0, 3, 3))))
    assert len(found) == len(found.columns["z"]) == len(found.columns["sensor"]) == 0
