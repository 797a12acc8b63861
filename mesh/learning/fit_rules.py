"""Fit the threshold rules of the model `rules`: a threshold for each column, and how sure they are."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.learning.turbofan import FEATURES, Telemetry

WATCHED: Final[Mapping[str, str]] = {
    "sensor_4": "above",
    "sensor_7": "below",
    "sensor_11": "above",
    "sensor_12": "below",
    "sensor_15": "above",
}
"""Five sensors that tell a worn compressor one by one, and the side on which they leave the normal range."""

CANDIDATES: Final = 101
"""Thresholds tried for a column: quantiles from its median to its extreme."""
ROUNDS: Final = 10
CONFIDENT: Final = 0.6
CONFIDENT_SHARE: Final = 0.55


@dataclass(frozen=True, slots=True)
class Rules:
    """Fitted rules: for each watched column a threshold and a scale, both in the column's unit."""

    thresholds: Mapping[str, float]
    scale: Mapping[str, float]
    steepness: float
    calibration: float

    def margin(self, telemetry: Telemetry) -> np.ndarray:
        """Float64 [N]: the largest signed distance past a threshold, in scales; above 0 some rule fires."""
        return _margin(_values(telemetry), np.array(self._turned()), np.array(list(self.scale.values())))

    def probability(self, telemetry: Telemetry) -> np.ndarray:
        """P(degrading), float64 [N]."""
        probability: np.ndarray = 1 / (1 + np.exp(-self.steepness * self.margin(telemetry)))
        return probability

    def confidence(self, telemetry: Telemetry) -> np.ndarray:
        """Float64 [N] in [0, 1)."""
        confidence: np.ndarray = 1 - np.exp(-np.abs(self.margin(telemetry)) / self.calibration)
        return confidence

    def options(self) -> dict[str, object]:
        """What `config/models.yaml` says under `options` of the model `rules`."""
        return {
            "columns": list(FEATURES),
            "rules": [{"column": name, WATCHED[name]: value} for name, value in self.thresholds.items()],
            "scale": dict(self.scale),
            "steepness": self.steepness,
            "calibration": self.calibration,
        }

    def _turned(self) -> list[float]:
        return [t if WATCHED[name] == "above" else -t for name, t in self.thresholds.items()]


def fit_rules(telemetry: Telemetry) -> Rules:
    """Thresholds by coordinate ascent on F1, then scale, steepness and calibration; nothing is drawn.

    Scale is a column's standard deviation over normal cycles. Steepness maximises the likelihood of the
    labels under sigmoid(steepness * margin). Calibration puts `CONFIDENT_SHARE` of the cycles at a
    confidence of `CONFIDENT` or more.
    """
    values = _values(telemetry)
    scales = values[~telemetry.degrading].std(axis=0)
    thresholds = _ascend(values, telemetry.degrading)
    turned = [round(float(t), 3) for t in thresholds]
    scale = [float(f"{s:.4g}") for s in scales]
    margin = _margin(values, np.array(turned), np.array(scale))
    return Rules(
        thresholds={
            n: t if side == "above" else -t for (n, side), t in zip(WATCHED.items(), turned, strict=True)
        },
        scale=dict(zip(WATCHED, scale, strict=True)),
        steepness=round(_fit_steepness(margin, telemetry.degrading), 3),
        calibration=round(_fit_calibration(np.abs(margin)), 3),
    )


def _values(telemetry: Telemetry) -> np.ndarray:
    """The watched columns, float64 [N, 5], turned so that large is suspicious."""
    columns = telemetry.features[:, [FEATURES.index(name) for name in WATCHED]].astype(np.float64)
    turned: np.ndarray = columns * np.array([1.0 if side == "above" else -1.0 for side in WATCHED.values()])
    return turned


def _margin(values: np.ndarray, thresholds: np.ndarray, scale: np.ndarray) -> np.ndarray:
    margin: np.ndarray = ((values - thresholds) / scale).max(axis=1)
    return margin


def _ascend(values: np.ndarray, degrading: np.ndarray) -> np.ndarray:
    """The thresholds at which "any rule fires" has the best F1, one column at a time until nothing moves."""
    candidates = [np.unique(np.quantile(column, np.linspace(0.5, 1, CANDIDATES))) for column in values.T]
    thresholds: np.ndarray = np.quantile(values[degrading], 0.5, axis=0)
    for _ in range(ROUNDS):
        before = thresholds.copy()
        for column, tried in enumerate(candidates):
            others = np.delete(values > thresholds, column, axis=1).any(axis=1)
            scores = [_f1(others | (values[:, column] > threshold), degrading) for threshold in tried]
            thresholds[column] = tried[int(np.argmax(scores))]
        if np.array_equal(before, thresholds):
            break
    return thresholds


def _f1(fires: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (fires & truth).sum() / max(1, fires.sum() + truth.sum()))


def _fit_steepness(margin: np.ndarray, degrading: np.ndarray, steps: int = 50) -> float:
    """The slope of a logistic curve through the origin, by Newton's method on the log-likelihood."""
    slope, ridge = 1.0, 1e-3  # the trace of a ridge gives separable labels an answer too
    for _ in range(steps):
        p = 0.5 + 0.5 * np.tanh(0.5 * slope * margin)  # the sigmoid, without overflow
        gradient = float(((degrading - p) * margin).sum()) - ridge * slope
        curvature = float((p * (1 - p) * margin**2).sum()) + ridge
        slope += gradient / curvature
    return slope


def _fit_calibration(distance: np.ndarray) -> float:
    """The c for which 1 - exp(-distance / c) reaches `CONFIDENT` on `CONFIDENT_SHARE` of the cycles."""
    return float(np.quantile(distance, 1 - CONFIDENT_SHARE)) / -math.log(1 - CONFIDENT)
