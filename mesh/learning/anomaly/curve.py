"""Curves from a distance to a surprise: the negative natural logarithm of the share of healthy windows beyond it.

A curve is fitted to quantiles of healthy distances and is linear between them. Past the last it goes on with the slope of the
last stretch, as if the tail were exponential: lighter tails, such as the normal distribution's, are then understated, never
overstated. A curve is a sum of hinges, so that ONNX computes it with Relu alone.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

CAP: Final = 40.0
"""The largest surprise: e^-40 is far past what any sample could tell."""

FEATURE_TAILS: Final = (0.5, 0.1, 0.01, 0.001)
"""The shares at which the curve of a single feature is pinned."""
MEMBER_TAILS: Final = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001)
"""The shares at which the curve of a member, or of all of them together, is pinned."""

_NORMAL: Final = np.array([0.6745, 1.6449, 2.5758, 3.2905])
"""Quantiles of |x| of the standard normal distribution at `FEATURE_TAILS`."""
_NARROWEST: Final = 0.05
"""The least step between two pins of a feature, in scales, so that no curve is a wall."""


@dataclass(frozen=True, slots=True)
class Curve:
    """`sum(bends * max(0, distance - knots))`, at most `CAP`; `knots` and `bends` float64 [K, ...]."""

    knots: np.ndarray
    bends: np.ndarray

    def surprise(self, distance: np.ndarray) -> np.ndarray:
        """Float64 of the distance's shape [N, ...], 0 to `CAP`."""
        total = np.zeros(distance.shape)
        for knot, bend in zip(self.knots, self.bends, strict=True):
            total += bend * np.maximum(distance - knot, 0.0)
        return np.clip(total, 0.0, CAP)


def feature_curve(distances: np.ndarray) -> Curve:
    """One curve for each of [S, F] features from distances [M, S, F] in scales; the normal one where all are 0."""
    pins = np.quantile(distances, 1 - np.array(FEATURE_TAILS), axis=0)
    still = pins[-1] <= 0
    pins = np.where(still, _NORMAL[:, None, None], pins)
    steps = np.maximum(np.diff(pins, axis=0, prepend=0.0), _NARROWEST)
    return _through(np.cumsum(steps, axis=0), FEATURE_TAILS)


def member_curve(distances: np.ndarray) -> Curve:
    """One curve for distances [M] of healthy windows that nothing was fitted to."""
    pins = np.quantile(distances, 1 - np.array(MEMBER_TAILS))
    least = 1e-3 * max(float(pins[-1]), 1e-6)
    steps = np.maximum(np.diff(pins, prepend=0.0), least)
    return _through(np.cumsum(steps, axis=0), MEMBER_TAILS)


def _through(pins: np.ndarray, tails: tuple[float, ...]) -> Curve:
    """The curve with the surprise of `tails` at `pins` [K, ...], 0 at 0."""
    surprise = -np.log(np.array(tails)).reshape(-1, *[1] * (pins.ndim - 1))
    knots = np.concatenate([np.zeros_like(pins[:1]), pins[:-1]])
    slopes = np.diff(surprise, axis=0, prepend=0.0) / (pins - knots)
    return Curve(knots, np.diff(slopes, axis=0, prepend=0.0))
