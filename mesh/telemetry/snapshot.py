"""What one process has recorded so far: a frozen, picklable, cumulative value."""

from collections.abc import Mapping
from dataclasses import dataclass

LabelValues = tuple[str, ...]
Numbers = Mapping[str, Mapping[LabelValues, float]]
"""Metric name → label values → number."""


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """`counts[i]` values fell into bucket i (the last is above every bound); `total` is their sum."""

    counts: tuple[int, ...]
    total: float

    def __add__(self, other: "HistogramValue") -> "HistogramValue":
        return HistogramValue(
            tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)), self.total + other.total
        )

    def __sub__(self, earlier: "HistogramValue") -> "HistogramValue":
        return HistogramValue(
            tuple(a - b for a, b in zip(self.counts, earlier.counts, strict=True)), self.total - earlier.total
        )


Histograms = Mapping[str, Mapping[LabelValues, HistogramValue]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a recorder holds. `recorder` is unique to it; `sequence` grows with every snapshot."""

    recorder: str
    sequence: int
    counters: Numbers
    gauges: Numbers
    histograms: Histograms
