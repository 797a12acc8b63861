"""No feature looks ahead, and a stream that keeps a few readings gets the features of the whole history."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mesh.learning.degradation import Fleet, Windows, latest_features, window_features

WINDOWS = Windows(("a", "b"), means=(3,), slopes=(4, 6))
READING = st.tuples(
    st.integers(1, 3), st.floats(-1e4, 1e4, allow_nan=False), st.floats(-1, 1, allow_nan=False)
)
LIVES = st.lists(st.lists(READING, min_size=1, max_size=15), min_size=1, max_size=3)


def fleet(lives: list[list[tuple[int, float, float]]]) -> Fleet:
    """Assets whose cycles advance by the first number of each reading."""
    unit = np.repeat(np.arange(len(lives)), [len(life) for life in lives])
    cycle = np.concatenate([np.cumsum([step for step, *_ in life]) for life in lives])
    return Fleet(("a", "b"), unit, cycle, np.array([values for life in lives for _, *values in life]))


@given(lives=LIVES, later=st.lists(READING, min_size=1, max_size=8))
def test_later_cycles_change_no_earlier_feature(
    lives: list[list[tuple[int, float, float]]], later: list[tuple[int, float, float]]
) -> None:
    before = window_features(WINDOWS, fleet(lives))
    after = window_features(WINDOWS, fleet([*lives[:-1], lives[-1] + later]))
    np.testing.assert_array_equal(after[: len(before)], before)


@given(lives=LIVES)
def test_an_assets_last_readings_give_its_features(lives: list[list[tuple[int, float, float]]]) -> None:
    several = fleet(lives)
    features = window_features(WINDOWS, several)
    for first, last in zip(several.first_rows(), several.last_rows(), strict=True):
        rows = slice(first, last + 1)
        alone = latest_features(WINDOWS, several.cycle[rows], several.values[rows])
        np.testing.assert_allclose(alone, features[last], rtol=1e-5, atol=1e-6)
