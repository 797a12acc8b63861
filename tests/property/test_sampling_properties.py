"""Adaptive sampling, for any readings: the held value is near the true one, and batches change nothing."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mesh.signals import DeltaSampler, Readings, SamplingRules, Sensor

SENSORS = (Sensor("a", tolerance_ms=7_000, delta=0.5), Sensor("b", tolerance_ms=20_000, delta=2.0))
RULES = SamplingRules(heartbeat_ms=9_000, hold_ms=3_000)
ROW = st.tuples(
    st.integers(0, 2),
    st.floats(-5, 5, allow_nan=False) | st.just(np.nan),
    st.floats(-5, 5, allow_nan=False),
)


def stream(rows) -> Readings:
    """One reading a second of each asset, in the order of `rows`."""
    seen: dict[int, int] = {}
    times = []
    for slot, *_ in rows:
        seen[slot] = seen.get(slot, -1) + 1
        times.append(seen[slot] * 1_000)
    values = np.array([row[1:] for row in rows], np.float64).reshape(-1, 2)
    return Readings(np.array([row[0] for row in rows], np.int64), np.array(times, np.int64), values)


@given(st.lists(ROW, max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_cuts_into_batches_change_nothing(rows, cuts):
    whole = stream(rows)
    at_once = DeltaSampler(SENSORS, RULES).step(whole)
    one = DeltaSampler(SENSORS, RULES)
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    parts = [one.step(whole.take(np.arange(low, high))) for low, high in pairwise(edges)]
    assert np.array_equal(at_once, np.concatenate([np.zeros((0, 2), bool), *parts]))


@given(st.lists(ROW, min_size=1, max_size=60))
def test_whoever_holds_the_last_value_is_near_and_never_without_one(rows):
    readings = stream(rows)
    keep = DeltaSampler(SENSORS, RULES).step(readings)
    for slot in range(3):
        mine = np.flatnonzero(readings.slot == slot)
        for place, sensor in enumerate(SENSORS):
            held, at = np.nan, -1
            for row in mine.tolist():
                value, time = readings.values[row, place], int(readings.time[row])
                if keep[row, place]:
                    held, at = value, time
                assert np.isnan(held) == np.isnan(value)
                assert np.isnan(value) or abs(held - value) < sensor.delta
                assert time - at < min(sensor.tolerance_ms, RULES.heartbeat_ms)
