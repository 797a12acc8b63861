"""What the other sensors say of a sensor: reconstruction from a principal subspace, for each feature across the sensors.

A feature of S sensors is modelled by its principal components and equal noise in all directions (M. Tipping, C. Bishop,
"Probabilistic Principal Component Analysis", 1999). From the inverse covariance follows what each sensor should say given
the others, and so its residual (R. Dunia, S. Qin, T. Edgar, T. McAvoy, "Identification of faulty sensors using principal
component analysis", AIChE Journal 42, 1996). A shift that is common to all sensors, such as a change of load, leaves no
residual; one that belongs to a single sensor leaves all of it.
"""

from typing import Final

import numpy as np

_SHARED: Final = 1.8
"""A component is kept where its variance is so many times the mean one: more than one sensor takes part in it."""
_BOUND: Final = 4.0
"""Scores are cut here while covariances are estimated, so that a few strange windows do not decide them."""
_TINY: Final = 1e-6


def fit_relations(scores: np.ndarray) -> np.ndarray:
    """Standardised healthy features [M, S, F] to float64 [F, S, S]: `relations[f] @ scores[m, :, f]` are the residuals."""
    bounded = np.clip(scores, -_BOUND, _BOUND)
    return np.stack([_relation(bounded[:, :, feature]) for feature in range(scores.shape[2])])


def residuals(relations: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Float64 [N, S, F]: each value less what the other sensors make of it."""
    return np.asarray((scores.transpose(2, 0, 1) @ relations.transpose(0, 2, 1)).transpose(1, 2, 0))


def _relation(scores: np.ndarray) -> np.ndarray:
    """One feature's [S, S] from [M, S]."""
    sensors = scores.shape[1]
    covariance = np.cov(scores.T).reshape(sensors, sensors) + _TINY * np.eye(sensors)
    variance, directions = np.linalg.eigh(covariance)
    shared = variance > _SHARED * np.trace(covariance) / sensors
    noise = variance[~shared].mean()
    signal = (directions[:, shared] * (variance[shared] - noise)) @ directions[:, shared].T
    precision = np.linalg.inv(signal + noise * np.eye(sensors))
    return np.asarray(precision / np.diag(precision)[:, None])
