"""The detector is causal, and how its values are cut into blocks changes nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.detection.detector import update
from mesh.detection.settings import Settings
from mesh.detection.state import begin, restore

TINY = Settings(lags=40, memory=60, warmup=10, quiet=12, refit=20, apart=5, overlap=3, width=6, components=2)
ROWS = 150

numbers = st.one_of(st.floats(-1e6, 1e6), st.integers(-3, 3).map(float), st.just(np.nan))
walks = st.tuples(
    st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, ROWS - 1), numbers), max_size=12)
)


def series(walk: tuple[int, list[tuple[int, float]]]) -> np.ndarray:
    """Noise of a seed with some values replaced by drawn ones."""
    seed, changes = walk
    values = np.random.default_rng(seed).normal(size=ROWS)
    for at, value in changes:
        values[at] = value
    return values


def scores_of(values: np.ndarray) -> np.ndarray:
    return update(begin(len(values), TINY), values, TINY)


@settings(deadline=None, max_examples=40)
@given(walks, walks, st.sets(st.integers(1, ROWS - 1), max_size=6))
def test_blocks_of_any_size_give_the_same_bits(first: tuple, second: tuple, cuts: set[int]) -> None:
    values = np.stack([series(first), series(second)])
    state, parts = begin(2, TINY), []
    for part in np.split(values, sorted(cuts), axis=1):
        parts.append(update(state, part, TINY))
        state = restore(state.arrays(), TINY)
    assert np.array_equal(np.concatenate(parts, axis=1), scores_of(values))


@settings(deadline=None, max_examples=40)
@given(walks, walks, st.integers(0, ROWS))
def test_what_comes_later_changes_no_earlier_score(walk: tuple, other: tuple, known: int) -> None:
    values, changed = series(walk)[None], series(walk)[None]
    changed[:, known:] = series(other)[known:]
    assert np.array_equal(scores_of(values)[:, :known], scores_of(changed)[:, :known])


@settings(deadline=None, max_examples=40)
@given(walks, walks)
def test_a_series_scores_the_same_beside_any_other(walk: tuple, other: tuple) -> None:
    both = np.stack([series(other), series(walk)])
    assert np.array_equal(scores_of(both)[1], scores_of(both[1:])[0])


@settings(deadline=None, max_examples=40)
@given(walks)
def test_scores_stay_between_0_and_1(walk: tuple) -> None:
    scores = scores_of(series(walk)[None])
    assert ((scores >= 0) & (scores < 1)).all()
