"""Adaptive sampling: what is sent, what is spared, and how long a sensor may be silent."""

import numpy as np
import pytest

from mesh.signals import DeltaSampler, Readings, SamplingRules, Sensor

SENSORS = (
    Sensor("temp", period_ms=1_000, tolerance_ms=60_000, delta=1.0),
    Sensor("flow", period_ms=1_000, tolerance_ms=60_000, delta=0.5),
)
RULES = SamplingRules(heartbeat_ms=10_000, hold_ms=5_000)


def sampler(sensors=SENSORS, rules=RULES) -> DeltaSampler:
    return DeltaSampler(sensors, rules)


def readings(rows) -> Readings:
    """`rows` are (slot, seconds, temp, flow)."""
    table = np.array(rows, np.float64)
    return Readings(table[:, 0].astype(np.int64), (table[:, 1] * 1e3).astype(np.int64), table[:, 2:])


def kept(rows, one=None, watched=()) -> list[list[bool]]:
    return (one or sampler()).step(readings(rows), np.array(watched, np.int64)).tolist()


def test_the_first_reading_is_sent_and_the_next_only_where_it_moved():
    assert kept([(0, 0, 20, 5), (0, 1, 20.9, 5.4), (0, 2, 21, 5.4), (0, 3, 21, 5.5)]) == [
        [True, True],
        [False, False],
        [True, False],
        [False, True],
    ]


def test_small_steps_add_up():
    values = [(0, second, 20 + 0.3 * second, 5) for second in range(9)]
    assert [row[0] for row in kept(values)] == [True, *[False] * 3, True, *[False] * 3, True]


def test_a_quiet_sensor_is_heard_once_in_a_heartbeat():
    sent = [row[0] for row in kept([(0, second, 20, 5) for second in range(31)])]
    assert np.flatnonzero(sent).tolist() == [0, 10, 20, 30]


def test_no_silence_outlasts_what_a_reading_stands_for():
    short = (Sensor("temp", period_ms=1_000, tolerance_ms=2_500, delta=1.0), SENSORS[1])
    sent = [row[0] for row in kept([(0, second, 20, 5) for second in range(9)], sampler(short))]
    assert np.flatnonzero(sent).tolist() == [0, 2, 4, 6, 8]


def test_a_null_is_sent_when_it_begins_and_the_value_after_it():
    sent = kept([(0, 0, 20, 5), (0, 1, np.nan, 5), (0, 2, np.nan, 5), (0, 3, 20, 5)])
    assert [row[0] for row in sent] == [True, True, False, True]


def test_a_watched_asset_sends_everything_until_a_while_after():
    one = sampler()
    assert kept([(0, 0, 20, 5), (1, 0, 20, 5)], one) == [[True, True]] * 2
    assert kept([(0, 1, 20, 5), (1, 1, 20, 5)], one, watched=[0]) == [[True, True], [False, False]]
    sent = [row[0] for row in kept([(0, second, 20, 5) for second in range(2, 10)], one)]
    assert sent == [True] * 5 + [False] * 3  # the hold ends with second 6


def test_a_clock_that_was_set_back_begins_anew():
    assert kept([(0, 100, 20, 5), (0, 50, 20, 5), (0, 51, 20, 5)]) == [
        [True, True],
        [True, True],
        [False, False],
    ]


def test_a_sensor_without_delta_is_sent_always():
    plain = (Sensor("temp"), Sensor("flow", tolerance_ms=60_000, delta=1.0))
    assert kept([(0, second, 20, 5) for second in range(3)], sampler(plain)) == [
        [True, True],
        [True, False],
        [True, False],
    ]


def test_the_state_of_an_asset_goes_with_it():
    one, other = sampler(), sampler()
    kept([(3, 0, 20, 5)], one)
    other.state.load([7], one.state.dump(np.array([3])))
    assert kept([(7, 1, 20.5, 5.6)], other) == [[False, True]]


@pytest.mark.parametrize("rows", [np.empty((0, 4))])
def test_nothing_read_is_nothing_sent(rows):
    assert sampler().step(readings(rows)).shape == (0, 2)
