"""One process's numbers. Recording is a dictionary update: no lock, no allocation, no I/O.

A `Recorder` belongs to one thread. Another thread takes its own with `for_thread()`; any one thread calls
`snapshot()`, which holds the sum of all. It may see a histogram's count one value ahead of its sum.
"""

import uuid
from bisect import bisect_left
from collections import defaultdict
from collections.abc import MutableSet
from typing import Final

import numpy as np

from mesh.telemetry.merge import merge_gauges, sum_counters, sum_histograms
from mesh.telemetry.metric import Counter, Gauge, Histogram, Metric
from mesh.telemetry.snapshot import HistogramValue, LabelValues, Snapshot

MAX_VALUES: Final = 100
"""Distinct values that one label of one metric may take in a process; later ones are recorded as `other`."""

MAX_SERIES: Final = 1000
"""Combinations of labels that one metric may take in a process; a new one beyond has `other` for every label."""

OTHER: Final = "other"


class _Cell:
    """The counts of one histogram series."""

    __slots__ = ("counts", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        self.total = 0.0


class Recorder:
    """Counts, observes and sets for one thread. Labels are texts in the order of the metric's `labels`."""

    def __init__(self, max_values: int = MAX_VALUES, max_series: int = MAX_SERIES) -> None:
        self._id = uuid.uuid4().hex
        self._sequence = 0
        self._max_values = max_values
        self._max_series = max_series
        self._admitted: dict[Metric, set[LabelValues]] = defaultdict(set)
        self._counters: dict[Counter, dict[LabelValues, float]] = defaultdict(dict)
        self._gauges: dict[Gauge, dict[LabelValues, float]] = defaultdict(dict)
        self._histograms: dict[Histogram, dict[LabelValues, _Cell]] = defaultdict(dict)
        self._bounds: dict[Histogram, np.ndarray] = {}
        self._seen: dict[Metric, tuple[MutableSet[str], ...]] = {}
        self._threads: list[Recorder] = []

    def for_thread(self) -> "Recorder":
        """A recorder for another thread; what it records is part of this one's snapshots."""
        child = Recorder(self._max_values, self._max_series)
        self._threads.append(child)
        return child

    def count(self, metric: Counter, value: float = 1, labels: LabelValues = ()) -> None:
        """Add `value` (>= 0)."""
        try:
            self._counters[metric][labels] += value
        except KeyError:
            labels, series = self._admit(metric, labels), self._counters[metric]
            series[labels] = series.get(labels, 0) + value

    def set(self, metric: Gauge, value: float, labels: LabelValues = ()) -> None:
        """Make `value` the number that is so now."""
        series = self._gauges[metric]
        series[labels if labels in series else self._admit(metric, labels)] = value

    def unset(self, metric: Gauge, labels: LabelValues = ()) -> None:
        """Forget a number that no longer means anything here, as the lag of a partition that moved away."""
        self._gauges[metric].pop(labels, None)

    def observe(self, metric: Histogram, value: float, labels: LabelValues = ()) -> None:
        """Add one value. NaN is ignored: it would spoil the sum for good."""
        if value != value:  # noqa: PLR0124 - the cheapest test for NaN
            return
        cell = self._histograms[metric].get(labels) or self._open(metric, labels)
        cell.counts[bisect_left(metric.buckets, value)] += 1
        cell.total += value

    def observe_many(self, metric: Histogram, values: np.ndarray, labels: LabelValues = ()) -> None:
        """Add all of `values` (any float array) at once; NaN are ignored."""
        total = float(values.sum())
        if total != total:  # noqa: PLR0124 - the cheapest test for NaN
            values = values[~np.isnan(values)]
            total = float(values.sum())
        cell = self._histograms[metric].get(labels) or self._open(metric, labels)
        bounds = self._bounds[metric]
        found = np.bincount(bounds.searchsorted(values.ravel()), minlength=len(bounds) + 1)
        cell.counts = [a + b for a, b in zip(cell.counts, found.tolist(), strict=True)]
        cell.total += total

    def snapshot(self) -> Snapshot:
        """Everything recorded since the recorder was made, threads included."""
        self._sequence += 1
        parts = [self.own(), *(thread.own() for thread in self._threads)]
        return Snapshot(
            self._id, self._sequence, sum_counters(parts), merge_gauges(parts), sum_histograms(parts)
        )

    def own(self) -> Snapshot:
        """What this thread alone recorded. Every copy is one step, so another thread may record meanwhile."""
        return Snapshot(
            self._id,
            self._sequence,
            {metric.name: numbers.copy() for metric, numbers in list(self._counters.items())},
            {metric.name: numbers.copy() for metric, numbers in list(self._gauges.items())},
            {
                metric.name: {
                    key: HistogramValue(tuple(cell.counts), cell.total) for key, cell in list(cells.items())
                }
                for metric, cells in list(self._histograms.items())
            },
        )

    def _open(self, metric: Histogram, labels: LabelValues) -> _Cell:
        self._bounds.setdefault(metric, np.array(metric.buckets))
        return self._histograms[metric].setdefault(self._admit(metric, labels), _Cell(len(metric.buckets)))

    def _admit(self, metric: Metric, labels: LabelValues) -> LabelValues:
        """`labels`, with every value that is one too many replaced by `other`."""
        if len(labels) != len(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, got {labels}")
        seen = self._seen.setdefault(metric, tuple(set() for _ in labels))
        admitted = self._admitted[metric]
        if labels in admitted:
            return labels
        if len(admitted) >= self._max_series:
            return (OTHER,) * len(labels)
        bounded = tuple(self._bounded(known, value) for known, value in zip(seen, labels, strict=True))
        admitted.add(bounded)
        return bounded

    def _bounded(self, known: MutableSet[str], value: str) -> str:
        if value in known or value == OTHER:
            return value
        if len(known) >= self._max_values:
            return OTHER
        known.add(value)
        return value
