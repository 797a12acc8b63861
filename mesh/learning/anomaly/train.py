"""Learn the ensemble from healthy windows: fit on some assets, calibrate on others, export."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from mesh.learning.anomaly.curve import feature_curve, member_curve
from mesh.learning.anomaly.ensemble import (
    Ensemble,
    Looks,
    Standard,
    combined,
    coverage_place,
    look,
    member_surprises,
)
from mesh.learning.anomaly.export import to_onnx_bytes
from mesh.learning.anomaly.neighbours import centres, exemplars, fit_space
from mesh.learning.anomaly.relations import fit_relations, residuals
from mesh.learning.anomaly.windows import Layout, WindowSet

LEAST_WINDOWS: Final = 200
"""Fewer windows to fit on, or to calibrate on, tell nothing of tails."""
MOST_WINDOWS: Final = 50_000
"""Of more windows to fit on, or to calibrate on, so many are drawn: 16 sensors with 21 features are 134 MB."""
STEPS: Final = 3
"""How often `train` tells its progress."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What was chosen on simulated machines of training seeds; see docs/detection-quality.md.

    `false_share` is the share of healthy windows that may be above the threshold. `calibrated` is the share of the assets,
    or of the windows of a single one, that is kept for calibration. `weights` are those of the members. `coverage_scale` and
    `least_scale` (a part of the median) are the least scales: a feature that never moves is not infinitely sure.
    """

    false_share: float = 0.002
    calibrated: float = 0.4
    dimensions: int = 40
    clusters: int = 16
    kept: int = 384
    weights: tuple[float, float, float, float] = (16.0, 1.0, 1.0, 1.0)
    coverage_scale: float = 0.05
    least_scale: float = 1e-3


@dataclass(frozen=True, slots=True)
class Trained:
    """A fitted ensemble, its file, and how many windows of how many assets it was fitted and calibrated on."""

    layout: Layout
    recipe: Recipe
    seed: int
    ensemble: Ensemble
    onnx: bytes
    fitted: tuple[int, int]
    calibrated: tuple[int, int]


def train(
    windows: WindowSet,
    seed: int,
    recipe: Recipe | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Trained:
    """Learn from the healthy windows of a set, on one thread: the same input and seed give the same bytes.

    `progress` is called `STEPS` times. Raises `ValueError` where there are too few windows, or nothing varies.
    """
    recipe = recipe or Recipe()
    draw = np.random.default_rng([seed, 6])
    both = split(windows.take(windows.healthy), recipe.calibrated, draw)
    fit, calibrate = (_at_most(MOST_WINDOWS, part, draw) for part in both)
    for part, of in ((fit, "fit"), (calibrate, "calibrate")):
        if len(part) < LEAST_WINDOWS:
            raise ValueError(
                f"{len(part)} healthy windows to {of} on are too few, {LEAST_WINDOWS} are the least: give more healthy readings"
            )
    with threadpool_limits(1):
        standard = fit_standard(fit, recipe)
        progress()
        looks = fit_looks(standard, fit.values, recipe, draw)
        progress()
        ensemble = calibrated(standard, looks, calibrate.values, recipe)
        progress()
    return Trained(
        layout=windows.layout,
        recipe=recipe,
        seed=seed,
        ensemble=ensemble,
        onnx=to_onnx_bytes(ensemble, "anomaly"),
        fitted=(len(fit), len(np.unique(fit.asset))),
        calibrated=(len(calibrate), len(np.unique(calibrate.asset))),
    )


def split(windows: WindowSet, share: float, draw: np.random.Generator) -> tuple[WindowSet, WindowSet]:
    """The share `share` of the assets in the second part. A single asset's windows are split by time, the later ones second."""
    places = np.unique(windows.asset)
    if len(places) < 2:
        first = np.arange(len(windows)) < round(len(windows) * (1 - share))
        return windows.take(first), windows.take(~first)
    drawn = draw.permutation(places)
    second = drawn[: min(max(1, round(share * len(places))), len(places) - 1)]
    return windows.of_assets(np.setdiff1d(places, second)), windows.of_assets(second)


def _at_most(most: int, windows: WindowSet, draw: np.random.Generator) -> WindowSet:
    if len(windows) <= most:
        return windows
    return windows.take(np.sort(draw.permutation(len(windows))[:most]))


def fit_standard(windows: WindowSet, recipe: Recipe) -> Standard:
    """Median and scale of each feature of healthy windows.

    The scale is the median absolute deviation or, for features with long tails, what makes their 99.5 % quantile a normal
    one. Unknown values count for nothing. Raises `ValueError` where a sensor has no value at all.
    """
    coverage = coverage_place(windows.layout.features)
    values = windows.values.astype(np.float64)
    shape = values.shape[1:]
    unset = Standard(np.zeros(shape), np.ones(shape), coverage)
    known = unset.known(values)
    silent = np.flatnonzero(~known.any(axis=(0, 2)))
    if len(silent):
        name = windows.layout.sensors[int(silent[0])]
        raise ValueError(
            f"the sensor '{name}' has no value in any healthy window: remove it, or give its readings"
        )
    masked = np.where(known, values, np.nan)
    median = np.nanmedian(masked, axis=0)
    away = np.abs(masked - median)
    least = recipe.least_scale * np.abs(median) + 1e-9
    if coverage is not None:
        least[:, coverage] = recipe.coverage_scale
    scale = np.maximum.reduce(
        [1.4826 * np.nanmedian(away, axis=0), np.nanquantile(away, 0.995, axis=0) / 2.8070, least]
    )
    return Standard(median, scale, coverage)


def fit_looks(standard: Standard, values: np.ndarray, recipe: Recipe, draw: np.random.Generator) -> Looks:
    """What the members look with, from healthy windows [M, S, F]."""
    wide = values.astype(np.float64)
    scores = standard.scores(wide, standard.known(wide))
    relations = fit_relations(scores)
    space = fit_space(scores, recipe.dimensions)
    points = space.place(scores)
    return Looks(
        relations=relations,
        residual_curve=feature_curve(np.abs(residuals(relations, scores))),
        score_curve=feature_curve(np.abs(scores)),
        space=space,
        centres=centres(points, recipe.clusters, draw),
        kept=exemplars(points, recipe.kept, draw),
    )


def calibrated(standard: Standard, looks: Looks, values: np.ndarray, recipe: Recipe) -> Ensemble:
    """The ensemble whose curves are those of healthy windows [M, S, F] that nothing was fitted to."""
    distances = look(standard, looks, values).distances
    curves = tuple(member_curve(distances[:, at]) for at in range(distances.shape[1]))
    weights = np.array(recipe.weights) / sum(recipe.weights)
    together = member_curve(combined(member_surprises(curves, distances), weights))
    return Ensemble(standard, looks, curves, weights, together, 1 - recipe.false_share)
