"""Four members judge a window; together they say a calibrated score, how sure that is, and which sensors speak for it.

A value that is not finite, or of a sensor without any coverage, is unknown. Known values are standardised robustly,
`z = (x - median) / scale`, cut at ±`BOUND`; unknown ones are what the other sensors make of them, and speak for nothing.
With surprises (`mesh.learning.anomaly.curve`) in nats:

    subspace    max over values of surprise(|z - what the other sensors say|)
    zscore      mean of the three largest surprise(|z|)
    clusters    surprise(distance to the nearest k-means centre)
    neighbours  surprise(distance to the nearest kept healthy window)
    all         u = curve((sum of w_i u_i^8)^(1/8)), so the loudest member decides
    score       1 - e^-u: of healthy windows the share s is above 1 - s

`confidence = margin * (1 + agreement) / 2 * known`. `margin` is the distance to the threshold: (threshold - score) /
threshold below it, which healthy windows fill evenly, and min(1, u / u_threshold - 1) above it. `agreement` is the weighted
share of members on the same side, `known` the share of values that are known.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.learning.anomaly.curve import Curve
from mesh.learning.anomaly.neighbours import Space, nearest
from mesh.learning.anomaly.relations import residuals
from mesh.signals.features import QUALITY

MEMBERS: Final = ("subspace", "zscore", "clusters", "neighbours")
BOUND: Final = 30.0
LOUDEST: Final = 3
POWER: Final = 8
AGREES_WITHIN: Final = 2.0
"""Nats from the threshold at which a member is wholly on its side."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is said of N windows: `score` and `confidence` [N] in 0-1, `contribution` [N, S] each sensor's largest surprise."""

    score: np.ndarray
    confidence: np.ndarray
    contribution: np.ndarray


@dataclass(frozen=True, slots=True)
class Standard:
    """What is usual: `median` and `scale` float64 [S, F]; `coverage` is the place of that feature, None without one."""

    median: np.ndarray
    scale: np.ndarray
    coverage: int | None

    def known(self, values: np.ndarray) -> np.ndarray:
        """Bool [N, S, F]: the values that say anything."""
        known: np.ndarray = np.isfinite(values)
        if self.coverage is None:
            return known
        there = values[:, :, self.coverage] > 0
        return np.asarray(known & there[:, :, None])

    def scores(self, values: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Float64 [N, S, F] within ±`BOUND`; 0 where nothing is known."""
        safe = np.where(known, values, self.median)
        return np.asarray(np.clip((safe - self.median) / self.scale, -BOUND, BOUND))


@dataclass(frozen=True, slots=True)
class Looks:
    """What the members look with: residuals and their curves, the space, centres [K, R] and kept windows [E, R]."""

    relations: np.ndarray
    residual_curve: Curve
    score_curve: Curve
    space: Space
    centres: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True, slots=True)
class Seen:
    """Before calibration: `distances` float64 [N, 4] in the order of `MEMBERS`, `contribution` [N, S], `known` [N]."""

    distances: np.ndarray
    contribution: np.ndarray
    known: np.ndarray


def look(standard: Standard, looks: Looks, values: np.ndarray) -> Seen:
    """What the members see in windows [N, S, F]."""
    wide = values.astype(np.float64)
    known = standard.known(wide)
    bare = standard.scores(wide, known)
    filled = np.where(known, bare, -residuals(looks.relations, bare))
    apart = looks.residual_curve.surprise(np.abs(residuals(looks.relations, filled))) * known
    alone = looks.score_curve.surprise(np.abs(bare)) * known
    points = looks.space.place(filled)
    flat = np.sort(alone.reshape(len(alone), -1), axis=1)
    distances = (
        apart.max(axis=(1, 2)),
        flat[:, -LOUDEST:].mean(axis=1),
        nearest(points, looks.centres),
        nearest(points, looks.kept),
    )
    return Seen(np.stack(distances, axis=1), np.maximum(apart, alone).max(axis=2), known.mean(axis=(1, 2)))


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A fitted ensemble. `curves` are those of `MEMBERS`, `weights` float64 [4] sum to 1."""

    standard: Standard
    looks: Looks
    curves: tuple[Curve, ...]
    weights: np.ndarray
    together: Curve
    threshold: float

    def judge(self, values: np.ndarray) -> Verdicts:
        """In float64, for windows [N, S, F]."""
        seen = look(self.standard, self.looks, values)
        members = member_surprises(self.curves, seen.distances)
        surprise = self.together.surprise(combined(members, self.weights))
        score = -np.expm1(-surprise)
        limit = -np.log1p(-self.threshold)
        above = surprise >= limit
        margin = np.where(
            above, np.clip(surprise / limit - 1, 0, 1), (self.threshold - score) / self.threshold
        )
        side = np.clip((members - limit) / AGREES_WITHIN, -1, 1) @ self.weights
        agreement = (1 + np.where(above, side, -side)) / 2
        return Verdicts(score, margin * (1 + agreement) / 2 * seen.known, seen.contribution)


def member_surprises(curves: tuple[Curve, ...], distances: np.ndarray) -> np.ndarray:
    """Float64 [N, 4] of distances [N, 4]."""
    return np.stack([curve.surprise(distances[:, at]) for at, curve in enumerate(curves)], axis=1)


def combined(members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted power mean of surprises [N, 4]: float64 [N]."""
    return np.asarray((members**POWER @ weights) ** (1 / POWER))


def coverage_place(features: tuple[str, ...]) -> int | None:
    """Where the coverage stands among the features; None where it is not selected."""
    (name,) = QUALITY
    return features.index(name) if name in features else None
