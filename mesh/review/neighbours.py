"""Which features moved, and which earlier cases looked alike. Pure: stdlib and numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

_MAD: Final = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution (P. J. Huber, "Robust statistics", 1981)."""
_CEILING: Final = 100.0
_SCALED_BY: Final = 256
"""Cases whose median and deviation scale all: enough for both, and a median is what a search costs."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A feature, its value, what is usual, and how many robust deviations it is from that."""

    name: str
    value: float
    usual: float
    deviations: float


@dataclass(frozen=True, slots=True)
class Alike:
    """An earlier case and its distance; 0 is the same."""

    id: str
    distance: float


def moved_most(
    names: Sequence[str], now: np.ndarray, before: np.ndarray, limit: int = 8, floor: float = 1e-3
) -> list[Moved]:
    """The features of `now`, float64 [F], farthest from the medians of `before`, float64 [P, F].

    Deviations are of the median absolute deviation, of which at least `floor` of the usual value is taken, so that a constant
    sensor does not count for everything. Empty with fewer than three rows before.
    """
    if len(before) < 3:
        return []
    usual = _median(before)
    spread = _MAD * _median(np.abs(before - usual))
    spread = np.maximum(spread, np.maximum(np.abs(usual) * floor, 1e-9))
    deviations = np.clip((now - usual) / spread, -_CEILING, _CEILING)
    deviations = np.where(np.isfinite(deviations), deviations, 0.0)
    order = np.argsort(-np.abs(deviations), kind="stable")[:limit]
    return [
        Moved(names[at], float(now[at]), float(usual[at]), float(deviations[at])) for at in order.tolist()
    ]


def most_alike(here: np.ndarray, ids: Sequence[str], cases: np.ndarray, limit: int = 5) -> list[Alike]:
    """The nearest of `cases`, float64 [N, F], to `here`, float64 [F], by root mean square distance; NaN counts for nothing.

    Each feature is scaled by its median and median absolute deviation over all, and clipped at ten deviations, so that no unit
    and no outlier decides (k nearest neighbours: T. Cover, P. Hart, IEEE Trans. Inf. Theory 13, 1967).
    """
    if not len(cases):
        return []
    every = np.vstack([cases, here])
    known = np.isfinite(every).any(axis=0) & np.isfinite(here)
    every = every[:, known]
    if not every.shape[1]:
        return []
    some = every[-_SCALED_BY:]
    centre = _median(some)
    spread = _MAD * _median(np.abs(some - centre))
    scaled = np.clip((every - centre) / np.where(spread > 0, spread, 1.0), -10, 10)
    squares = (scaled[:-1] - scaled[-1]) ** 2
    counted = np.isfinite(squares)
    total = np.where(counted, squares, 0.0).sum(axis=1)
    apart = np.sqrt(total / np.maximum(counted.sum(axis=1), 1))
    apart[~counted.any(axis=1)] = np.inf
    order = [at for at in np.argsort(apart, kind="stable")[:limit].tolist() if np.isfinite(apart[at])]
    return [Alike(ids[at], float(apart[at])) for at in order]


def _median(values: np.ndarray) -> np.ndarray:
    """By column; `nanmedian` takes ten times as long, so only where something is missing."""
    return np.asarray(
        np.median(values, axis=0) if np.isfinite(values).all() else np.nanmedian(values, axis=0)
    )
