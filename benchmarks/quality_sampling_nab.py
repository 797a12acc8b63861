"""What adaptive sampling costs in detection on the Numenta benchmark: the detector hears only what is sent.

Each series is a machine with one sensor, a row its period. Its noise comes from the rows that do not count (probation): the
robust standard deviation of a difference of neighbours, over the square root of two. What is not sent is a missing value to the
detector. A series whose newest score reached the threshold is watched, as one with an open alert is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.detection.detector import update
from mesh.detection.settings import Settings
from mesh.detection.state import begin
from mesh.learning.nab import LabelledSeries, probation
from mesh.signals.sampling import DeltaSampler
from mesh.signals.sensors import Readings, SamplingRules, Sensor

NOISES: Final = 1.0
HEARTBEAT: Final = 12
"""Rows: an hour of most series."""
HOLD: Final = 288
"""Rows of everything after an alarm: a day of most series."""
_MAD: Final = 1.4826
"""The standard deviation of a normal variable in its median absolute deviations."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Scores of each series, float64 [N], 0 where nothing was sent, and the share of all values that were sent."""

    scores: Sequence[np.ndarray]
    kept: float


def noise_of(values: np.ndarray) -> float:
    """Of a series, from its probation; the least number above 0 where it does not move."""
    steps = np.abs(np.diff(values[: probation(len(values))]))
    return max(float(_MAD * np.nanmedian(steps) / np.sqrt(2)), float(np.finfo(float).tiny))


def score_sampled(
    corpus: Sequence[LabelledSeries], threshold: float, settings: Settings, hold_back: bool
) -> Heard:
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
    state, watched = begin(len(series), settings), np.empty(0, np.int64)
    held = np.full(len(series), np.nan)
    for at in range(lengths[0]):
        running = int(np.count_nonzero(lengths > at))
        state = state if running == len(state) else state.of_series(np.arange(running))
        now = values[:running, at]
        readings = Readings(np.arange(running), np.full(running, at), (now / noise[:running])[:, None])
        keep = sampler.step(readings, watched)[:, 0]
        sent += int(keep.sum())
        held[:running] = np.where(keep, now, held[:running] if hold_back else np.nan)
        scores[:running, at] = update(state, held[:running, None], settings)[:, 0]
        watched = np.flatnonzero(scores[:running, at] >= threshold)
    of = {one.name: scores[row, : lengths[row]] for row, one in enumerate(series)}
    return Heard([of[one.name] for one in corpus], sent / int(lengths.sum()))
