"""What differs between two instants of merged figures: totals, rates, quantiles. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.telemetry.merge import CounterSums, HistogramSums
from mesh.telemetry.metric import Counter, Gauge, Histogram
from mesh.telemetry.quantiles import quantile
from mesh.telemetry.snapshot import HistogramValue, LabelValues
from mesh.telemetry.summary import Flow, Latency


@dataclass(frozen=True, slots=True)
class Instant:
    """The merged numbers of all processes at one time, in seconds."""

    at: float
    counters: CounterSums
    gauges: CounterSums
    histograms: HistogramSums


class Change:
    """What differs between two instants."""

    def __init__(self, before: Instant, now: Instant) -> None:
        self.before, self.now = before, now
        self.seconds = max(0.0, now.at - before.at)

    def flow(self, metric: Counter, labels: LabelValues | None = None) -> Flow:
        """All series of `metric`, or the one of `labels`."""
        total, earlier = (_total(instant.counters, metric, labels) for instant in (self.now, self.before))
        return Flow(int(total), (total - earlier) / self.seconds if self.seconds else 0.0)

    def by_label(self, metric: Counter, label: str) -> dict[str, Flow]:
        """Sums per value of one label."""
        position = metric.labels.index(label)
        sums: dict[str, Flow] = {}
        for labels in sorted(self.now.counters.get(metric.name, {})):
            flow, known = self.flow(metric, labels), sums.get(labels[position], Flow(0, 0.0))
            sums[labels[position]] = Flow(known.total + flow.total, known.per_s + flow.per_s)
        return sums

    def gauge(self, metric: Gauge) -> Mapping[LabelValues, float]:
        """All series of a gauge, now."""
        return self.now.gauges.get(metric.name, {})

    def observations(self, metric: Histogram, labels: LabelValues) -> Flow:
        """How many values were observed."""
        total, earlier = (
            sum(_histogram(instant.histograms, metric, labels).counts) for instant in (self.now, self.before)
        )
        return Flow(total, (total - earlier) / self.seconds if self.seconds else 0.0)

    def latency(self, metric: Histogram, labels: LabelValues | None = None) -> Latency:
        """Quantiles of what was observed between the instants, over all series or the one of `labels`."""
        since = _histogram(self.now.histograms, metric, labels) - _histogram(
            self.before.histograms, metric, labels
        )
        return Latency(quantile(0.5, metric.buckets, since), quantile(0.95, metric.buckets, since))

    def latency_of(self, metric: Histogram, first: str) -> Latency:
        """The same over every series whose first label is `first`."""
        since = _histogram_of(self.now.histograms, metric, first) - _histogram_of(
            self.before.histograms, metric, first
        )
        return Latency(quantile(0.5, metric.buckets, since), quantile(0.95, metric.buckets, since))


def _total(sums: CounterSums, metric: Counter, labels: LabelValues | None) -> float:
    series = sums.get(metric.name, {})
    return sum(series.values()) if labels is None else series.get(labels, 0)


def _histogram(sums: HistogramSums, metric: Histogram, labels: LabelValues | None) -> HistogramValue:
    series = sums.get(metric.name, {})
    empty = HistogramValue((0,) * (len(metric.buckets) + 1), 0.0)
    return sum(series.values(), start=empty) if labels is None else series.get(labels, empty)


def _histogram_of(sums: HistogramSums, metric: Histogram, first: str) -> HistogramValue:
    empty = HistogramValue((0,) * (len(metric.buckets) + 1), 0.0)
    series = sums.get(metric.name, {})
    return sum((value for labels, value in series.items() if labels[0] == first), start=empty)
