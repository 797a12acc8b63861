"""Learn remaining useful life from run-to-failure telemetry: fit, calibrate on unseen engines, export, check."""

from dataclasses import dataclass

import numpy as np
import onnxruntime
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from mesh.learning.degradation.evaluate import Quality, measure
from mesh.learning.degradation.export import OUTPUTS, to_onnx_bytes
from mesh.learning.degradation.fleet import Fleet
from mesh.learning.degradation.interval import Band, Cuts, calibrate, cross_bounds
from mesh.learning.degradation.learner import (
    Alarm,
    Recipe,
    fit_alarm,
    fit_regressor,
    predict,
    predict_unseen,
)
from mesh.learning.degradation.truncate import folds_by_unit, truncations
from mesh.learning.degradation.windows import Windows, varying_columns, window_features


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the model says of N assets, [N] each: cycles left, their interval, P(fails soon), how sure that is."""

    rul: np.ndarray
    rul_low: np.ndarray
    rul_high: np.ndarray
    score: np.ndarray
    confidence: np.ndarray


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted model, its file, and what cross-validation by asset says of it.

    `unseen` compares with the true cycles left, `unseen_capped` with the truth stopped at `Recipe.cap`.
    """

    windows: Windows
    recipe: Recipe
    seed: int
    regressor: HistGradientBoostingRegressor
    band: Band
    alarm: Alarm
    onnx: bytes
    unseen: Quality
    unseen_capped: Quality

    def estimate(self, features: np.ndarray) -> Estimate:
        """In float64, as scikit-learn has it; `features` float32 [N, F]."""
        rul = predict(self.regressor, features)
        score = self.alarm.probability(rul)
        return Estimate(rul, self.band.low(rul), self.band.high(rul), score, np.maximum(score, 1 - score))


def train(fleet: Fleet, seed: int, recipe: Recipe | None = None, windows: Windows | None = None) -> Trained:
    """Learn from assets that all ran to failure, on one thread: the same input and seed give the same bytes.

    Every fifth asset in turn is set aside to calibrate interval and alarm; the model that ships has seen all.
    Raises `ValueError` for fewer assets than folds, and where the readings tell nothing of failure.
    """
    recipe = recipe or Recipe()
    windows = windows or Windows(varying_columns(fleet))
    features, true = window_features(windows, fleet), fleet.remaining()
    with threadpool_limits(1):
        cuts = _cuts(fleet, features, true, recipe, seed)
        regressor = fit_regressor(features, true, recipe, seed)
    band = calibrate(cuts, recipe.level)
    alarm = fit_alarm(cuts.predicted, cuts.true, recipe.alert)
    low, high = cross_bounds(cuts, recipe.level)
    return Trained(
        windows=windows,
        recipe=recipe,
        seed=seed,
        regressor=regressor,
        band=band,
        alarm=alarm,
        onnx=to_onnx_bytes(regressor, band, alarm, len(windows.names), "degradation"),
        unseen=measure(cuts.true, cuts.predicted, low, high),
        unseen_capped=measure(np.minimum(cuts.true, recipe.cap), cuts.predicted, low, high),
    )


def score_onnx(model: bytes, features: np.ndarray) -> Estimate:
    """What the file says, in float32, for `features` float32 [N, F]."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return Estimate(*session.run(list(OUTPUTS), {"features": features}))


def _cuts(fleet: Fleet, features: np.ndarray, true: np.ndarray, recipe: Recipe, seed: int) -> Cuts:
    fold = folds_by_unit(fleet, recipe.folds, seed)
    predicted = predict_unseen(features, true, fold, recipe, seed)
    rows = truncations(fleet, recipe.cuts_per_unit, seed)
    return Cuts(predicted[rows], true[rows], fold[rows], len(fleet.first_rows()))
