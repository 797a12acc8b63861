"""The detector: values of S series in, an anomaly score for each out, with nothing but the past to judge by."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from mesh.detection.distances import distances
from mesh.detection.settings import Settings
from mesh.detection.state import State, begin
from mesh.detection.strangeness import news, strangeness

LARGEST: Final = 1e36
"""A value beyond this is treated as missing: distances are remembered in single precision."""


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
    present: np.ndarray = np.abs(block) <= LARGEST
    whole: np.ndarray = np.all(present, axis=0)
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
    scores: np.ndarray = -np.expm1(-fresh)
    return scores


def fixed_threshold(settings: Settings) -> float:
    """A threshold that needs no labels: a tail probability of one in `quiet` values, one in 150 where `quiet` is 0.

    So chance alone gives no more than one alarm in each silence that the settings ask for; on independent noise it
    gives about one in 430 values.
    """
    return 1 - 1 / (settings.quiet or 150)


def score_together(series: Sequence[np.ndarray], settings: Settings) -> list[np.ndarray]:
    """Score whole series side by side, each float64 [N] of a length of its own: the scores of each, float64 [N].

    The scores are those of `update`; many series share the cost of a step.
    """
    order = sorted(range(len(series)), key=lambda number: -len(series[number]))
    scores = [np.zeros(len(one)) for one in series]
    state, start = begin(len(series), settings), 0
    for running in range(len(series), 0, -1):
        stop = len(series[order[running - 1]])
        state = state.of_series(np.arange(running))
        block = np.stack([series[number][start:stop] for number in order[:running]])
        for number, part in zip(order, update(state, block, settings), strict=False):
            scores[number][start:stop] = part
        start = stop
    return scores
