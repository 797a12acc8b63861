"""The detector: values of S series in, an anomaly score for each out, with nothing but the past to judge by."""

from typing import Final

import numpy as np

from mesh.detection.distances import distances
from mesh.detection.settings import Settings
from mesh.detection.state import State
from mesh.detection.strangeness import news, strangeness

LARGEST: Final = 1e150
"""A value beyond this is treated as missing: its square would overflow."""


def update(state: State, values: np.ndarray, settings: Settings) -> np.ndarray:
    """Score a block of values and learn from it: float64 [S, T] to scores float64 [S, T] in [0, 1).

    A score is 1 - p, where p is the tail probability of the value (the mean of what the members say). A missing
    value (NaN or infinite) scores 0 and leaves its series as it was. The scores do not depend on how a series is cut
    into blocks, nor on the series beside it. `state` must have begun with the same settings.

    Raises `ValueError` where `values` is not [S, T].
    """
    if values.ndim != 2 or len(values) != len(state):
        raise ValueError(f"expected values of {len(state)} series in 2 dimensions, got {values.shape}")
    scores = np.zeros(values.shape)
    block = np.asarray(values, np.float64)
    present = np.abs(block) <= LARGEST
    whole = present.all(axis=0)
    for column in range(block.shape[1]):
        if whole[column]:
            scores[:, column] = _step(state, block[:, column], settings)
        elif present[:, column].any():
            rows = np.flatnonzero(present[:, column])
            some = state.of_series(rows)
            scores[rows, column] = _step(some, block[rows, column], settings)
            state.put(rows, some)
    return scores


def _step(state: State, values: np.ndarray, settings: Settings) -> np.ndarray:
    strange = strangeness(state, distances(state, values, settings), settings)
    fresh = news(state, strange, settings)
    state.seen[:] += 1
    return -np.expm1(-fresh)
