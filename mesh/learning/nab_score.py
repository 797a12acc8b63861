"""The score of the Numenta Anomaly Benchmark: what a row is worth, one threshold for a corpus, normalisation.

Source: A. Lavin, S. Ahmad, ICMLA 2015, section III, and the benchmark's scorer v1.1. A row is detected where its
score reaches the threshold. In each window only the most valuable detected row counts, and the earliest is the most
valuable; a window without one costs `miss`. Every detected row outside windows costs up to `false_alarm`, the less
the closer it follows a window.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mesh.learning.nab import LabelledSeries, Window, probation

STEEPNESS: Final = 5.0
FAR: Final = 3.0
"""A detection more than so many window widths after a window costs the whole weight."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a window detected at its first row earns, and what a missed window and a false alarm cost."""

    hit: float
    miss: float
    false_alarm: float


@dataclass(frozen=True, slots=True)
class Worth:
    """What each of the R scored rows of a corpus is worth, in raw score for a weight of 1.

    `window` int64 [R]: the number of the row's window, -1 outside; `value` float64 [R]: in (0, 1] inside a window, in
    [-1, 0] outside; `windows`: how many windows there are.
    """

    window: np.ndarray
    value: np.ndarray
    windows: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every distinct threshold, falling, and the normalised score it gives: both float64 [T].

    The first threshold is infinite: nothing is detected.
    """

    thresholds: np.ndarray
    scores: np.ndarray

    def best(self) -> tuple[float, float]:
        """The threshold of the highest score, the largest of several, and that score."""
        at = int(np.argmax(self.scores))
        return float(self.thresholds[at]), float(self.scores[at])

    def at(self, threshold: float) -> float:
        """The score of this threshold."""
        reached = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        return float(self.scores[reached])


def read_profiles(path: Path) -> Mapping[str, Profile]:
    """Read `profiles.json`. Raises `FileNotFoundError`, and `KeyError` where a weight is not there."""
    costs = {name: entry["CostMatrix"] for name, entry in json.loads(path.read_text()).items()}
    return {
        name: Profile(float(cost["tpWeight"]), float(cost["fnWeight"]), float(cost["fpWeight"]))
        for name, cost in costs.items()
    }


def row_worth(rows: int, windows: Sequence[Window]) -> tuple[np.ndarray, np.ndarray]:
    """For all rows of a series the number of its window (int64, -1 outside) and its worth (float64), both [rows].

    `windows` are in order of time and apart from each other.
    """
    inside = np.full(rows, -1, np.int64)
    worth = np.full(rows, -1.0)
    for number, window in enumerate(windows):
        width = window.last - window.first + 1
        hit, after = np.arange(window.first, window.last + 1), np.arange(window.last + 1, rows)
        inside[hit] = number
        worth[hit] = _sigmoid((hit - window.last - 1) / width) / _sigmoid(np.array(-1.0))
        worth[after] = _sigmoid((after - window.last) / max(width - 1, 1))
    return inside, worth


def _sigmoid(position: np.ndarray) -> np.ndarray:
    """The scaled sigmoid of a position in window widths after the window's end: 0.99 at -1, 0 at 0, -1 far after."""
    value: np.ndarray = np.where(
        position > FAR, -1.0, 2 / (1 + np.exp(STEEPNESS * np.minimum(position, FAR))) - 1
    )
    return value


def corpus_worth(corpus: Sequence[LabelledSeries]) -> Worth:
    """The scored rows of all series, one after the other: those after each series' probation."""
    windows, values, number = [np.zeros(0, np.int64)], [np.zeros(0)], 0
    for one in corpus:
        inside, value = row_worth(len(one.series), one.windows)
        scored = slice(probation(len(one.series)), None)
        windows.append(np.where(inside < 0, -1, inside + number)[scored])
        values.append(value[scored])
        number += len(one.windows)
    return Worth(np.concatenate(windows), np.concatenate(values), number)


def scored_rows(corpus: Sequence[LabelledSeries], scores: Sequence[np.ndarray]) -> np.ndarray:
    """Of each series' scores the rows that count, in the order of `corpus_worth`: float64 [R].

    Raises `ValueError` where a series has other than one score a row.
    """
    kept = [np.zeros(0)]
    for one, score in zip(corpus, scores, strict=True):
        if score.shape != (len(one.series),):
            raise ValueError(f"{one.name}: expected {len(one.series)} scores, got {score.shape}")
        kept.append(score[probation(len(one.series)) :])
    return np.concatenate(kept)


def sweep(worth: Worth, scores: np.ndarray, profile: Profile) -> Sweep:
    """The normalised score of every threshold that tells rows apart; `scores` float64 [R], a NaN is never detected.

    Sorts the rows once: a falling threshold adds rows, each with what it gains over the rows before it.
    """
    order = np.argsort(-scores, kind="stable")[: int(np.count_nonzero(~np.isnan(scores)))]
    gains = _gains(worth, order, profile)
    falling = scores[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True)) if len(order) else order
    raw = np.append(0.0, np.cumsum(gains)[last])
    # A row of silence costs `miss` a window and a perfect detector earns `hit` a window: raw counts from silence.
    span = worth.windows * (profile.hit + profile.miss)
    return Sweep(np.append(np.inf, falling[last]), 100 * raw / span if span else raw)


def _gains(worth: Worth, order: np.ndarray, profile: Profile) -> np.ndarray:
    """What each row adds to the raw score when rows are detected in this order: float64 [len(order)]."""
    window, value = worth.window[order], worth.value[order]
    gains = np.where(window < 0, value * profile.false_alarm, 0.0)
    inside = np.flatnonzero(window >= 0)
    grouped = inside[np.argsort(window[inside], kind="stable")]
    bounds = np.flatnonzero(np.diff(window[grouped])) + 1
    for rows in np.split(grouped, bounds) if len(grouped) else ():
        reached = np.maximum.accumulate(profile.hit * value[rows])
        gains[rows] = np.diff(reached, prepend=-profile.miss)
    return gains
