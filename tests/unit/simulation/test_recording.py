"""A recording is played back as it is, and faults find in it what they find in a fleet: noise, and a value at any time."""

import numpy as np

from mesh.simulation.delivery import Delivery
from mesh.simulation.faults import Fault
from mesh.simulation.recording import Playback, Recording


def recording(seconds=(0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0), asset=(0, 1, 0, 1, 0, 1, 0)):
    n = len(seconds)
    values = np.stack([np.arange(n), np.full(n, 5.0)], axis=1).astype(float)
    return Recording(
        ("a", "b"),
        np.array(asset),
        np.array(seconds),
        values,
        ("", "psi"),
        np.zeros(2, bool),
    )


def played(*faults, seconds=5):
    playback = Playback(recording(), faults, 7)
    return np.concatenate([playback.second(n).values for n in range(seconds)])


def test_it_is_played_back_as_it_is():
    np.testing.assert_array_equal(played(), recording().values)
    block = Playback(recording(), [], 7).second(1)
    np.testing.assert_array_equal(block.seconds, [1.0, 1.0])
    assert recording().lasts_s == 3.001
    assert recording().period_s == 1.0


def test_seconds_without_readings_are_left_out():
    seldom = Playback(recording(seconds=(0.0, 0.5, 7.2, 7.2, 900.0, 900.0, 4e6)), [], 7)
    assert [seldom.next_second(n) for n in (0, 1, 7, 8, 901, 4_000_001)] == [0, 7, 7, 900, 4_000_000, None]
    asked = []
    seldom.second = lambda n, second=seldom.second: asked.append(n) or second(n)
    way = Delivery(seldom, [], 7, 10**10, 1e3, np.zeros(2, bool), np.zeros(2, np.int16))
    assert [sent for second in way.seconds() for sent in second.sent_ms] == [
        0,
        500,
        7_200,
        7_200,
        900_000,
        900_000,
        4 * 10**9,
    ]
    assert asked == [0, 7, 900, 4_000_000]


def test_a_fault_changes_its_machine_and_leaves_the_recording_alone():
    kept = recording()
    playback = Playback(kept, [Fault("stuck", 0, (0,), 1.0, 3.0, 0.0)], 7)
    values = np.concatenate([playback.second(n).values for n in range(4)])
    np.testing.assert_array_equal(values[:, 0], [0, 1, 2, 3, 2, 5, 6])
    np.testing.assert_array_equal(kept.values, recording().values)


def test_a_fast_cycle_plays_the_recording_faster():
    values = played(Fault("frequency_change", 0, (0,), 0.0, 4.0, 2.0))
    # At 0, 1, 2 and 3 seconds the machine says what it said at 0, 2, 4 and 6: the last is held.
    np.testing.assert_array_equal(values[[0, 2, 4, 6], 0], [0, 4, 6, 6])


def test_noise_is_that_of_the_steps_without_level_and_trend():
    rng = np.random.default_rng(1)
    n = 4_000
    values = np.stack([1e6 + np.arange(n) * 0.01 + rng.standard_normal(n) * 3.0, np.full(n, 2.0)], axis=1)
    values[::7, 0] = np.nan
    noisy = Recording(("a",), np.zeros(n, int), np.arange(n) / 10, values, ("", ""), np.zeros(2, bool))
    found = Playback(noisy, [], 7).noise
    np.testing.assert_allclose(found, [3.0, 1.0], rtol=0.1)
