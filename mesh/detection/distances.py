"""How far a value lies from what its series did before: one distance for each member of the ensemble.

- `isolation`: the gap to the nearest of the last `lags` values.
- `shape`: the left matrix profile (C.-C. M. Yeh et al., "Matrix Profile I", ICDM 2016), that is the distance of the
  newest subsequence from its nearest neighbour in the past, with weights that fall geometrically with age instead of a
  window that ends. So the distance at every lag follows from the one a value ago, and rounding errors fade.
- `level`: how far a smoothed level strays from a long exponentially weighted mean.
- `residual`: what the leading principal components of past subsequences do not explain of the newest.

Each writes what it must remember into the state. Values are [S], one of each series.
"""

from typing import Final

import numpy as np

from mesh.detection.settings import MEMBERS, Settings
from mesh.detection.state import State

ROUNDING: Final = 1e-9
"""A distance of less than this share of the value is none."""


def distances(state: State, values: np.ndarray, settings: Settings) -> np.ndarray:
    """The distances of `values`, finite float64 [S], from the past: float64 [S, members], 0 where too little is known.

    Afterwards the state has learnt the values, except that `seen` has not counted them yet.
    """
    found = np.empty((len(state), len(MEMBERS)))
    found[:, 0], found[:, 1] = _from_neighbours(state, values, settings)
    found[:, 2] = _from_mean(state, values, settings)
    state.history[:, 1:] = state.history[:, :-1]
    state.history[:, 0] = values
    found[:, 3] = _residual(state, settings)
    # Ranks would make news of rounding errors in a series that does not change.
    size = np.maximum(np.abs(values), np.abs(state.smooth))
    found *= found >= (ROUNDING * size)[:, None]
    return found


def _from_neighbours(state: State, values: np.ndarray, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    squares = values[:, None] - state.history
    squares *= squares
    known: np.ndarray | None = None
    if state.seen.min() < settings.lags:
        known = np.arange(settings.lags) < state.seen[:, None]
        squares[~known] = 0
    isolation = _nearest(squares, known)
    squares *= 1 - settings.forget
    # A lag stays the same lag as both values move on by one, so the distance at each follows from itself.
    np.multiply(state.shapes, settings.forget, out=state.shapes)
    np.add(state.shapes, squares, out=state.shapes)
    return isolation, _nearest_shape(state, settings)


def _nearest_shape(state: State, settings: Settings) -> np.ndarray:
    far = state.shapes[:, settings.apart - 1 :]
    if state.seen.min() >= settings.lags + settings.overlap:
        return _nearest(far, None)
    lags = np.arange(settings.apart, settings.lags + 1)
    return _nearest(far, lags <= (state.seen - settings.overlap)[:, None])


def _nearest(squares: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """The root of the least square of each series, 0 where none is known: [S]."""
    if known is None:
        whole: np.ndarray = np.sqrt(squares.min(axis=1))
        return whole
    least = squares.min(axis=1, where=known, initial=np.inf)
    return np.sqrt(np.where(np.isinf(least), 0.0, least))


def _from_mean(state: State, values: np.ndarray, settings: Settings) -> np.ndarray:
    if not state.seen.all():
        first = state.seen == 0
        state.smooth[first] = state.mean[first] = values[first]
    state.smooth[:] += settings.smoothing * (values - state.smooth)
    stray: np.ndarray = np.abs(state.smooth - state.mean)
    state.mass[:] = state.mass * 0.5 ** (1 / settings.half_life) + 1
    state.mean[:] += (values - state.mean) / state.mass
    return stray


def _residual(state: State, settings: Settings) -> np.ndarray:
    """What the components do not explain: [S]. `history` already begins with the newest value."""
    offset = state.history[:, : settings.width] - state.centre
    rest = np.matmul(state.rest, offset[:, :, None])[:, :, 0]
    for row, seen in enumerate(state.seen.tolist()):
        if (seen + 1) % settings.refit == 0:
            _fit(state, row, settings)
    length: np.ndarray = np.sqrt((rest * rest).sum(axis=1))
    return length


def _fit(state: State, row: int, settings: Settings) -> None:
    values = state.history[row, : min(int(state.seen[row]) + 1, settings.lags)]
    windows = np.lib.stride_tricks.sliding_window_view(values, settings.width)
    centre = windows.mean(axis=0)
    offset = windows - centre
    unexplained = np.linalg.eigh(offset.T @ offset)[1][:, : -settings.components]
    state.centre[row] = centre
    state.rest[row] = unexplained @ unexplained.T
