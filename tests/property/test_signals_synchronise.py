"""The grid against a plain loop over records, however they are cut into batches, and never from the future."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.signals import Grid, Readings, Sensor, Synchroniser

GRID = Grid(period_ms=100, lateness_ms=150, restart_after=4)
SENSORS = (Sensor("a", tolerance_ms=250), Sensor("b", tolerance_ms=1_000), Sensor("c", tolerance_ms=90))
START = 1_000_000

value = st.one_of(st.just(np.nan), st.floats(-10, 10, allow_nan=False))
record = st.tuples(
    st.integers(0, 2),
    st.one_of(st.integers(-200, 400), st.integers(-3_000, 5_000)),
    st.tuples(value, value, value),
)


@st.composite
def streams(draw):
    """Records of three assets whose clocks mostly go forward, from 1970 on where a device has lost the time."""
    clocks, made = draw(st.lists(st.sampled_from([START, 0]), min_size=3, max_size=3)), []
    for slot, jump, values in draw(st.lists(record, min_size=1, max_size=60)):
        clocks[slot] = max(0, clocks[slot] + jump)
        made.append((slot, clocks[slot], values))
    return made


def readings(records) -> Readings:
    return Readings(
        np.array([slot for slot, _, _ in records], np.int64),
        np.array([time for _, time, _ in records], np.int64),
        np.array([values for _, _, values in records], np.float64).reshape(len(records), len(SENSORS)),
    )


class Plain:
    """What the grid is meant to be, a record at a time and a step at a time."""

    def __init__(self) -> None:
        self.assets = {}

    def take(self, slot, time, values):
        """(steps closed, late, restarted)."""
        asset = self.assets.setdefault(slot, {"newest": -1, "seen": [], "run": 0})
        last = (asset["newest"] - GRID.lateness_ms) // GRID.period_ms
        if -(-time // GRID.period_ms) <= last:
            asset["run"] += 1
            if asset["run"] < GRID.restart_after:
                return [], True, False
            self.assets[slot] = {"newest": -1, "seen": [], "run": 0}
            steps, late, _ = self.take(slot, time, values)
            return steps, late, True
        asset["run"] = 0
        asset["seen"].append((time, values))
        known = asset["newest"] >= 0
        asset["newest"] = max(asset["newest"], time)
        upto = (asset["newest"] - GRID.lateness_ms) // GRID.period_ms
        first = last + 1 if known else min(t for t, _ in asset["seen"]) // GRID.period_ms
        steps = [
            (slot, k * GRID.period_ms, *self.at(asset, k * GRID.period_ms)) for k in range(first, upto + 1)
        ]
        return [step for step in steps if not all(np.isnan(step[2]))], False, False

    def at(self, asset, time):
        values, ages = [], []
        for s, sensor in enumerate(SENSORS):
            best, when = np.nan, None
            for t, found in asset["seen"]:
                if t <= time and not np.isnan(found[s]) and (when is None or t >= when):
                    best, when = found[s], t
            fits = when is not None and time - when <= sensor.tolerance_ms
            values.append(best if fits else np.nan)
            ages.append(time - when if fits else np.nan)
        return values, ages


def plainly(records):
    plain, steps, late, restarted = Plain(), [], [], set()
    for n, (slot, time, values) in enumerate(records):
        closed, was_late, anew = plain.take(slot, time, values)
        steps += [(*step, n) for step in closed]
        late += [n] if was_late else []
        restarted |= {slot} if anew else set()
    return sorted(steps, key=lambda step: step[0]), late, restarted


def in_batches(records, cuts):
    synchroniser, steps, late, restarted = Synchroniser(SENSORS, GRID), [], [], set()
    edges = [0, *sorted({cut % (len(records) + 1) for cut in cuts}), len(records)]
    for begin, end in itertools.pairwise(edges):
        got = synchroniser.step(readings(records[begin:end]))
        s = got.steps
        steps += [
            (int(s.slot[i]), int(s.time[i]), list(s.values[i]), list(s.age[i]), int(s.cause[i]) + begin)
            for i in range(len(s))
        ]
        late += [int(row) + begin for row in got.late]
        restarted |= set(got.restarted.tolist())
    return sorted(steps, key=lambda step: step[0]), late, restarted


@settings(max_examples=300, deadline=None)
@given(streams(), st.lists(st.integers(0, 100), max_size=5))
def test_any_cut_into_batches_gives_what_a_plain_loop_gives(records, cuts):
    steps, late, restarted = in_batches(records, cuts)
    expected, expected_late, expected_restarted = plainly(records)
    assert late == expected_late
    assert restarted == expected_restarted
    assert [(slot, time, cause) for slot, time, _, _, cause in steps] == [
        (slot, time, cause) for slot, time, _, _, cause in expected
    ]
    for mine, plain in zip(steps, expected, strict=True):
        np.testing.assert_array_equal(mine[2], plain[2])
        np.testing.assert_array_equal(mine[3], plain[3])


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(1, 59), st.floats(-100, 100))
def test_what_comes_later_changes_no_step_before(records, at, shift):
    at = min(at, len(records))
    other = records[:at] + [
        (slot, time, tuple(v + shift for v in values)) for slot, time, values in records[at:]
    ]
    mine, _, _ = in_batches(records, [])
    theirs, _, _ = in_batches(other, [])
    # A step of time t knows nothing that was read after t; those closed before the change are the same to the last bit.
    for one, two in zip(mine, theirs, strict=True):
        if one[4] < at:
            np.testing.assert_array_equal(one[2], two[2])


@settings(max_examples=100, deadline=None)
@given(streams(), st.integers(0, 60))
def test_state_that_went_through_bytes_goes_on_the_same(records, cut):
    cut = min(cut, len(records))
    first = Synchroniser(SENSORS, GRID)
    first.step(readings(records[:cut]))
    slots = np.arange(3)
    second = Synchroniser(SENSORS, GRID)
    second.state.load(slots.tolist(), first.state.dump(slots))
    one, two = first.step(readings(records[cut:])), second.step(readings(records[cut:]))
    for name in ("slot", "time", "values", "age", "cause"):
        np.testing.assert_array_equal(getattr(one.steps, name), getattr(two.steps, name))


def test_bytes_of_another_layout_are_refused():
    with pytest.raises(ValueError, match="another layout"):
        Synchroniser(SENSORS, GRID).state.load([0], [b"short"])
