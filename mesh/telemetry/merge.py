"""How the numbers of several processes become one."""

from collections.abc import Iterable, Mapping

from mesh.telemetry.metric import Gauge, Merge
from mesh.telemetry.names import REGISTRY
from mesh.telemetry.snapshot import HistogramValue, LabelValues, Snapshot

CounterSums = dict[str, dict[LabelValues, float]]
HistogramSums = dict[str, dict[LabelValues, HistogramValue]]


def merge_gauge(how: Merge, into: dict[LabelValues, float], values: Mapping[LabelValues, float]) -> None:
    """Merge one gauge's `values` into `into`."""
    for labels, value in values.items():
        if labels not in into:
            into[labels] = value
        else:
            into[labels] = into[labels] + value if how == "sum" else max(into[labels], value)


def sum_counters(snapshots: Iterable[Snapshot]) -> CounterSums:
    """Counters of all `snapshots`, added."""
    sums: CounterSums = {}
    for snapshot in snapshots:
        for name, numbers in snapshot.counters.items():
            into = sums.setdefault(name, {})
            for labels, value in numbers.items():
                into[labels] = into.get(labels, 0) + value
    return sums


def sum_histograms(snapshots: Iterable[Snapshot]) -> HistogramSums:
    """Histograms of all `snapshots`, added. A series with other buckets than the first is left out."""
    sums: HistogramSums = {}
    for snapshot in snapshots:
        for name, values in snapshot.histograms.items():
            into = sums.setdefault(name, {})
            for labels, value in values.items():
                known = into.get(labels)
                if known is None:
                    into[labels] = value
                elif len(known.counts) == len(value.counts):
                    into[labels] = known + value
    return sums


def merge_gauges(snapshots: Iterable[Snapshot]) -> CounterSums:
    """Gauges of all `snapshots`, each merged as its definition says; unknown ones are added."""
    merged: CounterSums = {}
    for snapshot in snapshots:
        for name, values in snapshot.gauges.items():
            metric = REGISTRY.get(name)
            how: Merge = metric.merge if isinstance(metric, Gauge) else "sum"
            merge_gauge(how, merged.setdefault(name, {}), values)
    return merged
