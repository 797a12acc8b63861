"""The regressor of remaining cycles, its predictions for assets it has not seen, and P(fails soon)."""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression


@dataclass(frozen=True, slots=True)
class Recipe:
    """What was chosen on the training engines by cross-validation, and what by convention (`cap`, `level`).

    `cap` and `alert` are cycles. Training truth stops at `cap`: an engine far from failing shows no wear yet.
    """

    cap: float = 125.0
    alert: float = 30.0
    level: float = 0.9
    folds: int = 5
    cuts_per_unit: int = 20
    trees: int = 300
    leaves: int = 8
    readings_per_leaf: int = 100
    rate: float = 0.05
    shrinkage: float = 10.0
    features_per_split: float = 0.3


@dataclass(frozen=True, slots=True)
class Alarm:
    """P(at most `Recipe.alert` cycles are left) = sigmoid(steepness * (middle - predicted)), J. Platt 1999."""

    steepness: float
    middle: float

    def probability(self, predicted: np.ndarray) -> np.ndarray:
        """Float64 [N] in (0, 1), falling in the prediction."""
        probability: np.ndarray = 1 / (1 + np.exp(-self.steepness * (self.middle - predicted)))
        return probability


def fit_regressor(
    features: np.ndarray, true: np.ndarray, recipe: Recipe, seed: int
) -> HistGradientBoostingRegressor:
    """Gradient boosting over histograms; `features` float32 [N, F], `true` float64 [N] in cycles, not yet capped."""
    regressor = HistGradientBoostingRegressor(
        max_iter=recipe.trees,
        max_leaf_nodes=recipe.leaves,
        min_samples_leaf=recipe.readings_per_leaf,
        learning_rate=recipe.rate,
        l2_regularization=recipe.shrinkage,
        max_features=recipe.features_per_split,
        early_stopping=False,
        random_state=seed,
    )
    return regressor.fit(features, np.minimum(true, recipe.cap))


def predict(regressor: HistGradientBoostingRegressor, features: np.ndarray) -> np.ndarray:
    """Float64 [N]: remaining cycles, 0 or more."""
    predicted: np.ndarray = np.maximum(regressor.predict(features), 0)
    return predicted


def predict_unseen(
    features: np.ndarray, true: np.ndarray, fold: np.ndarray, recipe: Recipe, seed: int
) -> np.ndarray:
    """Float64 [N]: for each row the prediction of a regressor fitted without the row's fold."""
    predicted = np.empty(len(true))
    for number in np.unique(fold):
        own = fold == number
        predicted[own] = predict(fit_regressor(features[~own], true[~own], recipe, seed), features[own])
    return predicted


def fit_alarm(predicted: np.ndarray, true: np.ndarray, alert: float) -> Alarm:
    """Logistic regression of `true <= alert` on unseen predictions.

    Raises `ValueError` where all or none of the truths are within `alert`, or no falling curve fits them.
    """
    soon = true <= alert
    if soon.all() or not soon.any():
        raise ValueError(
            f"every asset or none has at most {alert:g} cycles left: nothing to learn an alarm from"
        )
    curve = LogisticRegression().fit(predicted[:, None], soon)
    steepness = -float(curve.coef_[0, 0])
    if steepness <= 0:
        raise ValueError("predictions do not fall towards failure: the readings tell nothing of it")
    return Alarm(steepness, float(curve.intercept_[0]) / steepness)
