"""Logistic regression that is updated by a few labels at a time: a Gaussian belief, moved by Laplace's approximation.

Source: D. J. Spiegelhalter, S. L. Lauritzen, "Sequential updating of conditional probabilities on directed graphical structures",
Networks 20, 1990; C. M. Bishop, "Pattern Recognition and Machine Learning", 2006, sections 4.4-4.5. The belief N(m, P^-1) over
the coefficients becomes

    m' = argmax_t  sum_i w_i log sigmoid(y_i z_i(t)) - (t - m)' P (t - m) / 2,     P' = P + sum_i w_i p_i (1 - p_i) x_i x_i'

by Newton's method. Weights of a sample that was not drawn evenly, one over the probability of being drawn, make the likelihood
that of the population (D. A. Binder, "On the variances of asymptotically normal estimators from complex surveys", International
Statistical Review 51, 1983). The precision then counts rows that were stood for, not rows that were seen: it is how strongly the
belief holds against later labels, and no standard error.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

_ROUNDS: Final = 50
_ENOUGH: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Belief:
    """`mean` float64 [K] and `precision` float64 [K, K] of K coefficients; the last multiplies a constant 1."""

    mean: np.ndarray
    precision: np.ndarray
    seen: float = 0.0


class OnlineLogistic:
    """P(anomalous | features). Order of batches hardly matters, and no row is needed twice."""

    def __init__(self, belief: Belief) -> None:
        self.belief = belief

    def partial_fit(
        self, features: np.ndarray, labels: np.ndarray, *, sample_weight: np.ndarray
    ) -> "OnlineLogistic":
        """See `Incremental`; `features` float64 [N, K - 1]. No rows change nothing."""
        if not len(labels):
            return self
        rows = np.column_stack([features, np.ones(len(labels))])
        counted = sample_weight.astype(np.float64)
        truth = labels.astype(np.float64)
        before = self.belief
        mean = before.mean.copy()
        for _ in range(_ROUNDS):
            p = _sigmoid(rows @ mean)
            gradient = rows.T @ (counted * (truth - p)) - before.precision @ (mean - before.mean)
            curvature = before.precision + (rows * (counted * p * (1 - p))[:, None]).T @ rows
            step = np.linalg.solve(curvature, gradient)
            mean = mean + step / max(1.0, float(np.abs(step).max()))  # a long step may overshoot
            if float(np.abs(step).max()) < _ENOUGH:
                break
        p = _sigmoid(rows @ mean)
        precision = before.precision + (rows * (counted * p * (1 - p))[:, None]).T @ rows
        self.belief = Belief(mean, precision, before.seen + float(counted.sum()))
        return self

    def probability(self, features: np.ndarray) -> np.ndarray:
        """Float64 [N] of `features` [N, K - 1]."""
        return _sigmoid(np.column_stack([features, np.ones(len(features))]) @ self.belief.mean)


def _sigmoid(value: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * value))
