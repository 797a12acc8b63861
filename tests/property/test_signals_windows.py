"""Windows against a plain loop over steps, however these are cut into batches."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.signals import Grid, Steps, WindowCutter

GRID = Grid(period_ms=100, window=4, hop=3)


@st.composite
def streams(draw):
    """Steps of three assets, mostly without gaps, a batch at a time sorted by asset."""
    at, batches, number = [1_000, 2_000, 1_300], [], 0
    for _ in range(draw(st.integers(1, 6))):
        batch = []
        for slot in range(3):
            for gap in draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 9, -30]), max_size=9)):
                at[slot] = max(0, at[slot] + 100 * gap)
                batch.append((slot, at[slot], float(number)))
                number += 1
        batches.append(batch)
    return batches


def steps(batch) -> Steps:
    slot = np.array([step[0] for step in batch], np.int64)
    values = np.array([[step[2], -step[2]] for step in batch], np.float64).reshape(len(batch), 2)
    return Steps(slot, np.array([step[1] for step in batch], np.int64), values, values, np.arange(len(batch)))


def plainly(batches):
    seen, found = {0: [], 1: [], 2: []}, []
    for batch in batches:
        for slot, time, value in batch:
            if seen[slot] and time - seen[slot][-1][0] != GRID.period_ms:
                seen[slot] = []
            seen[slot].append((time, value))
            if len(seen[slot]) >= GRID.window and (time // GRID.period_ms + 1) % GRID.hop == 0:
                found.append((slot, time, [v for _, v in seen[slot][-GRID.window :]]))
    return found


@settings(max_examples=200, deadline=None)
@given(streams())
def test_windows_are_what_a_plain_loop_cuts(batches):
    cutter, found = WindowCutter(2, GRID), []
    for batch in batches:
        windows = cutter.cut(steps(batch))
        np.testing.assert_array_equal(windows.values[:, 0], -windows.values[:, 1])
        found += [
            (int(windows.slot[i]), int(windows.time[i]), windows.values[i, 0].tolist())
            for i in range(len(windows))
        ]
    assert found == plainly(batches)


@settings(max_examples=50, deadline=None)
@given(streams())
def test_windows_survive_their_state_going_through_bytes(batches):
    whole, parted = WindowCutter(2, GRID), WindowCutter(2, GRID)
    for batch in batches:
        one, two = whole.cut(steps(batch)), parted.cut(steps(batch))
        np.testing.assert_array_equal(one.values, two.values)
        moved = WindowCutter(2, GRID)
        moved.state.load([0, 1, 2], parted.state.dump(np.arange(3)))
        parted = moved
