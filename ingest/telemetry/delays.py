"""How long decisions take of late. Pure: time is given."""

from collections import deque
from typing import Final

import numpy as np

_AT_MOST: Final = 256
"""Batches that are remembered, whatever their age."""


class RecentDelays:
    """The delays of the last `lasts_s` seconds, a batch of rows at a time."""

    def __init__(self, lasts_s: float) -> None:
        self._lasts_s = lasts_s
        self._batches: deque[tuple[float, np.ndarray]] = deque(maxlen=_AT_MOST)

    def add(self, delays_ms: np.ndarray, now: float) -> None:
        """Rows were decided on after so long, float64 [M] ms, at `now` seconds on a clock that does not go back."""
        if len(delays_ms):
            self._batches.append((now, delays_ms))

    def p95_ms(self, now: float) -> float:
        """95 % of the rows took at most so long; 0 where none was decided on."""
        while self._batches and now - self._batches[0][0] > self._lasts_s:
            self._batches.popleft()
        if not self._batches:
            return 0.0
        return float(np.percentile(np.concatenate([delays for _, delays in self._batches]), 95))
