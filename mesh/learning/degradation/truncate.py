"""Engines cut off before their end, as an engine in service is: what tuning and calibration are done on."""

from typing import Final

import numpy as np

from mesh.learning.degradation.fleet import Fleet

SHORTEST: Final = 30
"""No engine is cut before so many readings, its end excepted: an assumption, made before any was looked at."""


def truncations(fleet: Fleet, per_unit: int, seed: int) -> np.ndarray:
    """Int64 [units * per_unit]: rows to stop at, for each asset as many, uniform over its later life.

    Uniform from reading `SHORTEST` to the last but one, where the truth is at least one cycle.
    """
    first, last = fleet.first_rows(), fleet.last_rows()
    earliest = np.minimum(first + SHORTEST - 1, np.maximum(last - 1, first))
    latest = np.maximum(last, earliest + 1)
    draw = np.random.default_rng(seed)
    rows: np.ndarray = draw.integers(earliest, latest, (per_unit, len(first))).T.ravel()
    return rows


def folds_by_unit(fleet: Fleet, folds: int, seed: int) -> np.ndarray:
    """Int64 [N]: the fold of each row; all rows of an asset are in one. Raises `ValueError` for too few assets."""
    first = fleet.first_rows()
    if len(first) < folds:
        raise ValueError(f"{folds} folds need as many assets, got {len(first)}")
    drawn = np.random.default_rng(seed).permutation(len(first)) % folds
    return np.repeat(drawn, np.diff(np.append(first, len(fleet))))
