"""ADWIN: a window that keeps what is alike, and lets go of its older part when the two parts' means differ.

Source: A. Bifet, R. Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SIAM SDM 2007: ADWIN2, with the
exponential histogram of section 4 and the cut threshold that uses the window's variance (equation 3.1). With W values in the
window, parts of n0 and n1, `1/m = 1/(n0 - least + 1) + 1/(n1 - least + 1)` and `d = ln(2 ln W / delta)`, the window is cut where

    |mean0 - mean1| > sqrt(2/m · variance · d) + 2/(3m) · d

Memory is O(buckets · log W). Values should lie in [0, 1] for the bound to hold; other scales detect as well but promise nothing.
"""

from collections import deque
from math import log, sqrt
from typing import Final

BUCKETS: Final = 5
"""Buckets of one size before the two oldest are joined: M of the paper."""


class Adwin:
    """One stream. `delta` bounds the chance of a false cut at one test; a test is made every `clock` values."""

    def __init__(self, delta: float = 0.002, clock: int = 32, least: int = 5, grace: int = 10) -> None:
        """`least` values are the smallest part that is compared; nothing is tested before `grace` values.

        Raises `ValueError` for a `delta` outside 0-1 or counts below 1.
        """
        if not 0 < delta < 1:
            raise ValueError(f"delta must be above 0 and below 1, got {delta}")
        if min(clock, least) < 1:
            raise ValueError(f"clock and least must be at least 1, got {clock} and {least}")
        self._delta, self._clock, self._least, self._grace = delta, clock, least, grace
        self._rows: list[deque[tuple[float, float]]] = [
            deque()
        ]  # (sum, sum of squares about the mean) of 2^row values
        self._ticks = 0
        self.width = 0
        self._total = 0.0
        self._spread = 0.0
        self.detections = 0

    @property
    def mean(self) -> float:
        """Of the window; 0 while it is empty."""
        return self._total / self.width if self.width else 0.0

    @property
    def variance(self) -> float:
        """Of the window, divided by its width; 0 while it is empty."""
        return self._spread / self.width if self.width else 0.0

    def update(self, value: float) -> bool:
        """Take a value; True where the window was cut. A value that is not finite would spoil the sums: `ValueError`."""
        if not abs(value) < float("inf"):
            raise ValueError(f"expected a finite number, got {value}")
        self._ticks += 1
        self._insert(value)
        self._compress()
        due = self._ticks % self._clock == 0 and self.width > self._grace
        cut = due and self._shrink()
        self.detections += cut
        return cut

    def _insert(self, value: float) -> None:
        self._rows[0].append((value, 0.0))
        if self.width:
            self._spread += self.width * (value - self.mean) ** 2 / (self.width + 1)
        self.width += 1
        self._total += value

    def _compress(self) -> None:
        for height, row in enumerate(self._rows):
            if len(row) <= BUCKETS:
                return
            (sum0, spread0), (sum1, spread1) = row.popleft(), row.popleft()
            size = 1 << height
            between = size / 2 * ((sum0 - sum1) / size) ** 2
            if height + 1 == len(self._rows):
                self._rows.append(deque())
            self._rows[height + 1].append((sum0 + sum1, spread0 + spread1 + between))

    def _shrink(self) -> bool:
        """Drop the oldest bucket for as long as some split shows a difference."""
        cut = False
        while self._differs():
            self._drop_oldest()
            cut = True
        return cut

    def _differs(self) -> bool:
        older, older_sum = 0, 0.0
        test = log(2 * log(self.width) / self._delta)
        variance = self.variance
        for height in range(len(self._rows) - 1, -1, -1):
            row, size = self._rows[height], 1 << height
            for place, (total, _) in enumerate(row):
                older, older_sum = older + size, older_sum + total
                newer = self.width - older
                if height == 0 and place == len(row) - 1:
                    return False
                if older < self._least or newer < self._least:
                    continue
                reciprocal = 1 / (older - self._least + 1) + 1 / (newer - self._least + 1)
                bound = sqrt(2 * reciprocal * variance * test) + 2 / 3 * reciprocal * test
                if abs(older_sum / older - (self._total - older_sum) / newer) > bound:
                    return True
        return False

    def _drop_oldest(self) -> None:
        row = self._rows[-1]
        size = 1 << (len(self._rows) - 1)
        total, spread = row.popleft()
        self.width -= size
        self._total -= total
        left = self.mean
        self._spread -= spread + size * self.width * (total / size - left) ** 2 / (size + self.width)
        self._spread = max(self._spread, 0.0)
        while len(self._rows) > 1 and not self._rows[-1]:
            self._rows.pop()
