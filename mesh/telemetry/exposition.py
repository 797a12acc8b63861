"""Prometheus text from merged numbers, written by `prometheus_client` from a collector of our own."""

from collections.abc import Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    UntypedMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from mesh.telemetry.metric import Counter, Gauge, Histogram, Metric
from mesh.telemetry.names import REGISTRY
from mesh.telemetry.snapshot import Histograms as HistogramNumbers
from mesh.telemetry.snapshot import HistogramValue, LabelValues, Numbers
from mesh.telemetry.triton import triton_samples

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(counters: Numbers, gauges: Numbers, histograms: HistogramNumbers) -> bytes:
    """The text that a Prometheus scrape reads. Metrics that nobody recorded are there without samples."""
    registry = CollectorRegistry()
    registry.register(_Merged(counters, gauges, histograms))
    return generate_latest(registry)


class _Merged(Collector):
    """Hands merged numbers to prometheus_client."""

    def __init__(self, counters: Numbers, gauges: Numbers, histograms: HistogramNumbers) -> None:
        self._counters, self._gauges, self._histograms = counters, gauges, histograms

    def collect(self) -> Iterator[Family]:
        for name, metric in REGISTRY.items():
            yield _family(
                metric,
                self._counters.get(name, {}),
                self._gauges.get(name, {}),
                self._histograms.get(name, {}),
            )
        for series, samples in triton_samples(self._counters, self._gauges, self._histograms):
            # Untyped: the writer would append `_total` to a counter's name, which Triton's do not have.
            family = UntypedMetricFamily(series.name, series.help, labels=series.labels)
            for labels, value in samples.items():
                family.add_metric(labels, value)
            yield family


def _family(
    metric: Metric,
    counters: Mapping[LabelValues, float],
    gauges: Mapping[LabelValues, float],
    histograms: Mapping[LabelValues, HistogramValue],
) -> Family:
    match metric:
        case Counter():
            counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in counters.items():
                counter.add_metric(labels, value)
            return counter
        case Gauge():
            gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
            for labels, value in gauges.items():
                gauge.add_metric(labels, value)
            return gauge
        case Histogram():
            histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
            bounds = [*(repr(float(bound)) for bound in metric.buckets), "+Inf"]
            for labels, series in histograms.items():
                cumulative = zip(bounds, accumulate(series.counts), strict=True)
                histogram.add_metric(labels, list(cumulative), series.total)
            return histogram
