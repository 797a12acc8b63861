"""From distances to one number: how improbable is the value, and is it news?

Every distance becomes the negative logarithm of its tail probability among the distances of its own member before it,
as the ranks of conformal prediction do (V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World",
2005, 2.2), so members of different units can be averaged. A record goes on by its ratio to the record before.
"""

from typing import Final

import numpy as np

from mesh.detection.settings import Settings
from mesh.detection.state import State

LARGEST_STEP: Final = 5.0
"""A record counts as at most so many natural logarithms more than the record before it."""


def strangeness(state: State, distances: np.ndarray, settings: Settings) -> np.ndarray:
    """The mean over members of -log(tail probability), float64 [S], at least 0; 0 during the warm-up.

    `distances` is float64 [S, members] and joins the past.
    """
    tails = _tails(state, distances, settings)
    total = (tails**settings.power * settings.weights).sum(axis=1)
    mean: np.ndarray = (total / sum(settings.weights)) ** (1 / settings.power)
    return mean * (state.seen >= settings.warmup)


def news(state: State, strange: np.ndarray, settings: Settings) -> np.ndarray:
    """`strange`, float64 [S], where it tops the `quiet` values before it by `margin`, else 0."""
    if not settings.quiet:
        return strange
    fresh = np.where(strange > state.recent.max(axis=1) + settings.margin, strange, 0.0)
    state.recent[np.arange(len(state)), state.seen % settings.quiet] = strange
    return fresh


def _tails(state: State, distances: np.ndarray, settings: Settings) -> np.ndarray:
    rounded = distances.astype(np.float32)
    reached = state.past >= rounded[:, :, None]
    # One call for each pair: counting along an axis takes several times as long.
    counts = np.array([[np.count_nonzero(member) for member in one] for one in reached])
    known = np.minimum(state.seen, settings.memory)[:, None]
    tails: np.ndarray = np.log((known + 1) / (counts + 1))
    if not counts.all():
        for row, member in np.argwhere((counts == 0) & (known > 0)):
            tails[row, member] += _step(float(rounded[row, member]), float(state.past[row, member].max()))
    state.past[np.arange(len(state)), :, state.seen % settings.memory] = rounded
    return tails


def _step(record: float, before: float) -> float:
    if before <= 0:
        return LARGEST_STEP
    return min(float(np.log(record / before)), LARGEST_STEP)
