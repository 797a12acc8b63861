"""The batched filter against the textbook's matrices, and what it does with gaps, spikes and steps."""

import numpy as np

from mesh.signals import KalmanFilter, KalmanNoise
from mesh.signals.kalman import rounds

NOISE = KalmanNoise(measurement=np.array([0.5, 2.0]), acceleration=np.array([0.1, 1.0]))


def textbook(z, dt, r, q):
    """One sensor, by matrices, without a gate; the first value starts it."""
    f = np.array([[1, dt], [0, 1]])
    noise = q**2 * np.array([[dt**4 / 4, dt**3 / 2], [dt**3 / 2, dt**2]])
    h = np.array([[1.0, 0.0]])
    x, p, levels = np.array([z[0], 0.0]), np.diag([r**2, 100 * r**2]), [z[0]]
    for value in z[1:]:
        x, p = f @ x, f @ p @ f.T + noise
        if np.isfinite(value):
            gain = p @ h.T / (h @ p @ h.T + r**2)
            x = x + gain[:, 0] * (value - x[0])
            p = (np.eye(2) - gain @ h) @ p
        levels.append(x[0])
    return np.array(levels)


def test_it_is_the_textbooks_filter():
    rng = np.random.default_rng(1)
    n = 200
    z = np.cumsum(rng.normal(0, 0.05, (n, 2)), axis=0)
    z[50:60, 0] = np.nan
    filtered = KalmanFilter(NOISE).filter(np.zeros(n, np.int64), np.arange(n) * 250, z)
    for s in range(2):
        expected = textbook(z[:, s], 0.25, NOISE.measurement[s], NOISE.acceleration[s])
        np.testing.assert_allclose(filtered[:, s], expected, rtol=1e-9)


def test_assets_and_batches_do_not_mix():
    rng = np.random.default_rng(2)
    slot = np.repeat([0, 3, 7], 40)
    time = np.tile(np.arange(40) * 1_000, 3)
    z = rng.normal(0, 1, (120, 2))
    whole = KalmanFilter(NOISE).filter(slot, time, z)
    parted = KalmanFilter(NOISE)
    first, second = (time < 17_000), (time >= 17_000)
    np.testing.assert_array_equal(parted.filter(slot[first], time[first], z[first]), whole[first])
    np.testing.assert_array_equal(parted.filter(slot[second], time[second], z[second]), whole[second])


def test_a_spike_is_not_believed_and_a_step_is_after_a_while():
    z = np.zeros((40, 2))
    z[10] = 500.0
    z[20:] = 500.0
    levels = KalmanFilter(NOISE).filter(np.zeros(40, np.int64), np.arange(40) * 1_000, z)
    assert np.abs(levels[10]).max() < 1.0
    assert np.abs(levels[20:23]).max() < 1.0
    np.testing.assert_array_equal(levels[23], z[23])


def test_nothing_is_known_before_the_first_value():
    z = np.array([[np.nan, 1.0], [np.nan, 1.0], [4.0, np.nan]])
    levels = KalmanFilter(NOISE).filter(np.zeros(3, np.int64), np.array([0, 1_000, 2_000]), z)
    assert np.isnan(levels[:2, 0]).all()
    assert levels[2, 0] == 4.0
    assert np.isfinite(levels[:, 1]).all()


def test_a_clock_that_was_set_back_starts_the_filter_anew():
    z = np.array([[1.0, 1.0], [1.1, 1.1], [9.0, np.nan]])
    levels = KalmanFilter(NOISE).filter(np.zeros(3, np.int64), np.array([5_000, 6_000, 2_000]), z)
    assert levels[2, 0] == 9.0
    assert np.isnan(levels[2, 1])


def test_rounds_take_one_step_of_each_asset():
    assert [found.tolist() for found in rounds(np.array([2, 2, 2, 5, 9, 9]))] == [[0, 3, 4], [1, 5], [2]]
    assert rounds(np.empty(0, np.int64)) == []
