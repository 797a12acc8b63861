"""What the order of arrival decides: how far each asset's clock has come, which records are late, whose clock was set back."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mesh.signals.sensors import Grid

_SEGMENT: Final = np.int64(1) << 44
"""More than any time in milliseconds, so that running maxima of one asset never reach the next."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The records of a batch by asset, in order of arrival within each.

    `order` int64 [N] brings the batch's rows into that order; all others follow it: `slot`, `time`, `late` bool, `closed` the
    last closed step once the record has come, `run` late records in a row so far. `begins` int64 [A] is each asset's first row.
    """

    order: np.ndarray
    slot: np.ndarray
    time: np.ndarray
    late: np.ndarray
    closed: np.ndarray
    run: np.ndarray
    begins: np.ndarray

    @property
    def segment(self) -> np.ndarray:
        """The number of each row's asset, counted from 0: int64 [N]."""
        return segments(self.begins, len(self.order))

    def closers(self, segment: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The batch's row that closed each `step` [K] of the asset numbered `segment` [K]."""
        at = np.searchsorted(self.closed + self.segment * _SEGMENT, step + segment * _SEGMENT)
        return self.order[at]


def observe(
    slot: np.ndarray, time: np.ndarray, watermark: np.ndarray, late_run: np.ndarray, grid: Grid
) -> Arrivals:
    """Judge records [N] by those before them; `watermark` and `late_run` [capacity] are what earlier batches left.

    A watermark is the newest time of an asset's readings, -1 before the first. A record is late where its step is closed.
    """
    order = np.argsort(slot, kind="stable")
    slot, time = slot[order], time[order]
    begins = np.flatnonzero(np.r_[True, slot[1:] != slot[:-1]])
    offset = segments(begins, len(slot)) * _SEGMENT
    before_batch = watermark[slot]
    newest = np.maximum(np.maximum.accumulate(time + offset) - offset, before_batch)
    before = np.r_[before_batch[:1], newest[:-1]]
    before[begins] = before_batch[begins]
    late = step_of(time, grid) <= (before - grid.lateness_ms) // grid.period_ms
    closed = (newest - grid.lateness_ms) // grid.period_ms
    return Arrivals(order, slot, time, late, closed, _runs(late, begins, late_run[slot]), begins)


def step_of(time: np.ndarray, grid: Grid) -> np.ndarray:
    """The first step at or after each time: the one that a reading can stand for."""
    return -(-time // grid.period_ms)


def segments(begins: np.ndarray, length: int) -> np.ndarray:
    """The number of each row's segment, where segments begin at `begins`."""
    marks = np.zeros(length, np.int64)
    marks[begins[1:]] = 1
    return np.cumsum(marks)


def _runs(late: np.ndarray, begins: np.ndarray, before: np.ndarray) -> np.ndarray:
    """How many records in a row, this one included, were late; `before` is the run that each asset came with."""
    at = np.arange(len(late))
    begin = begins[segments(begins, len(late))]
    last_good = np.maximum.accumulate(np.where(late, -1, at))
    return np.where(late, np.where(last_good < begin, at - begin + 1 + before, at - last_good), 0)
