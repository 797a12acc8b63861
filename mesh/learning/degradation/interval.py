"""An interval around predicted remaining cycles whose coverage was measured on engines unseen in training.

The width depends on the prediction: in bins of it, the quantiles of the error below and above. A bin's quantile
is only as good as its bin, so one factor then scales all widths until the nominal share of unseen assets is
covered: the conformalised quantile scheme of Y. Romano, E. Patterson, E. Candes, "Conformalized Quantile
Regression", NeurIPS 2019, its score taken relative to the width. Scores are cross-conformal (V. Vovk, "Cross-
conformal predictors", 2015): a fold's score comes from a model and widths that saw none of its assets. Cuts of one
asset depend on each other, so what counts as a sample is an asset, each with as many cuts (pooling of R. Dunn,
L. Wasserman, A. Ramdas, "Distribution-Free Prediction Sets for Two-Layer Hierarchical Models", 2022).

The truth is not capped here, though the model's is: near the cap a prediction only says "far from failing", and
the upper width is what the lives of the training assets made of that.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

BINS: Final = 10
NARROWEST: Final = 1.0
"""Cycles on each side: remaining life is counted in whole cycles."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """M predictions for assets cut off early, from models that saw none of the asset.

    `predicted` and `true` are float64 [M] in cycles, `fold` int64 [M]; `units` is the number of assets.
    """

    predicted: np.ndarray
    true: np.ndarray
    fold: np.ndarray
    units: int

    def only(self, rows: np.ndarray) -> "Cuts":
        """Those with bool [M] true, of whole folds."""
        kept = round(self.units * float(rows.mean()))
        return Cuts(self.predicted[rows], self.true[rows], self.fold[rows], kept)


@dataclass(frozen=True, slots=True)
class Band:
    """Widths in cycles, float64 [K], at predictions `knots` (rising); linear between them, level outside."""

    knots: np.ndarray
    below: np.ndarray
    above: np.ndarray

    def low(self, predicted: np.ndarray) -> np.ndarray:
        """Float64 [N]: the lower bound, 0 or more."""
        low: np.ndarray = np.maximum(predicted - self._below(predicted), 0)
        return low

    def high(self, predicted: np.ndarray) -> np.ndarray:
        """Float64 [N]: the upper bound."""
        high: np.ndarray = predicted + self._above(predicted)
        return high

    def excess(self, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Float64 [N]: how far off the truth lies, in widths of its side; 1 is on the bound."""
        error = true - predicted
        width = np.where(error < 0, self._below(predicted), self._above(predicted))
        excess: np.ndarray = np.abs(error) / width
        return excess

    def scaled(self, factor: float) -> "Band":
        """Both widths times a factor."""
        return replace(self, below=self.below * factor, above=self.above * factor)

    def _below(self, predicted: np.ndarray) -> np.ndarray:
        width: np.ndarray = np.interp(predicted, self.knots, self.below)
        return width

    def _above(self, predicted: np.ndarray) -> np.ndarray:
        width: np.ndarray = np.interp(predicted, self.knots, self.above)
        return width


def calibrate(cuts: Cuts, level: float) -> Band:
    """The band that holds the truth of an unseen asset, cut at random, with probability `level`."""
    scores = np.empty(len(cuts.true))
    for fold in np.unique(cuts.fold):
        own = cuts.fold == fold
        band = _widths(cuts.only(~own), level)
        scores[own] = band.excess(cuts.predicted[own], cuts.true[own])
    rank = min(level * (1 + 1 / cuts.units), 1.0)
    return _widths(cuts, level).scaled(float(np.quantile(scores, rank, method="higher")))


def cross_bounds(cuts: Cuts, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds, float64 [M] each, every fold's from a band calibrated without it."""
    low, high = np.empty(len(cuts.true)), np.empty(len(cuts.true))
    for fold in np.unique(cuts.fold):
        own = cuts.fold == fold
        band = calibrate(cuts.only(~own), level)
        low[own], high[own] = band.low(cuts.predicted[own]), band.high(cuts.predicted[own])
    return low, high


def _widths(cuts: Cuts, level: float) -> Band:
    """Quantiles of the error in bins of the prediction, each bin with as many cuts."""
    order = np.argsort(cuts.predicted, kind="stable")
    knots: list[float] = []
    below: list[float] = []
    above: list[float] = []
    for rows in np.array_split(order, min(BINS, len(order))):
        knot = float(cuts.predicted[rows].mean())
        if knots and knot <= knots[-1]:
            continue
        under, over = np.quantile(cuts.true[rows] - cuts.predicted[rows], [(1 - level) / 2, (1 + level) / 2])
        knots.append(knot)
        below.append(max(-under, NARROWEST))
        above.append(max(over, NARROWEST))
    return Band(np.array(knots), np.array(below), np.array(above))
