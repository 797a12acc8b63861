"""How far is a window from healthy ones? Distances in a whitened principal subspace to k-means centres and to kept windows.

The distance to the nearest kept window is what a matrix profile gives of a series against another (C.-C. M. Yeh and others,
"Matrix Profile I", ICDM 2016), taken over windows' features and a bounded sample of healthy windows instead of all of them.
Centres are Lloyd's, begun by k-means++ (D. Arthur, S. Vassilvitskii, 2007).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

_ROUNDS: Final = 15
_BOUND: Final = 4.0
_LEAST: Final = 1e-3
"""Directions with less variance than this part of the first are left out: whitened, they would be noise alone."""


@dataclass(frozen=True, slots=True)
class Space:
    """The first R principal directions, each divided by its standard deviation: `weights` float64 [S·F, R]."""

    weights: np.ndarray

    def place(self, scores: np.ndarray) -> np.ndarray:
        """Float64 [N, R] of standardised features [N, S, F]."""
        return np.asarray(scores.reshape(len(scores), len(self.weights)) @ self.weights)


def fit_space(scores: np.ndarray, dimensions: int) -> Space:
    """Of standardised healthy features [M, S, F]; fewer directions where there are not so many."""
    rows = np.clip(scores, -_BOUND, _BOUND).reshape(len(scores), -1)
    variance, directions = np.linalg.eigh(np.cov(rows.T))
    variance, directions = variance[::-1][:dimensions], directions[:, ::-1][:, :dimensions]
    kept = variance > _LEAST * variance[0]
    return Space(directions[:, kept] / np.sqrt(variance[kept]))


def nearest(points: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Float64 [N]: from each of [N, R] the Euclidean distance to the nearest of [K, R]."""
    return np.asarray(np.sqrt(_squares(points, kept).min(axis=1)))


def exemplars(points: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """At most `count` of [M, R], drawn without replacement."""
    return points[np.sort(draw.permutation(len(points))[:count])]


def centres(points: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """The centres [K, R] of at most `count` clusters of [M, R]; a centre that loses all its points stays where it is."""
    found = _seeds(points, min(count, len(points)), draw)
    for _ in range(_ROUNDS):
        label = _squares(points, found).argmin(axis=1)
        size = np.bincount(label, minlength=len(found))
        total = np.zeros_like(found)
        np.add.at(total, label, points)
        found = np.where(size[:, None] > 0, total / np.maximum(size, 1)[:, None], found)
    return found


def _seeds(points: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    chosen = [int(draw.integers(len(points)))]
    far = _squares(points, points[chosen])[:, 0]
    while len(chosen) < count:
        total = far.sum()
        weights = far / total if total > 0 else np.full(len(points), 1 / len(points))
        chosen.append(int(draw.choice(len(points), p=weights)))
        far = np.minimum(far, _squares(points, points[chosen[-1:]])[:, 0])
    return points[chosen]


def _squares(points: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Squared distances [N, K], never below 0."""
    crossed = points @ kept.T
    return np.asarray(np.maximum((points**2).sum(axis=1)[:, None] - 2 * crossed + (kept**2).sum(axis=1), 0.0))
