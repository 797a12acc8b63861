"""Quantiles from histogram buckets, as Prometheus' `histogram_quantile` computes them."""

from collections.abc import Sequence

from mesh.telemetry.snapshot import HistogramValue


def quantile(q: float, buckets: Sequence[float], value: HistogramValue) -> float | None:
    """The `q` quantile (0 to 1), by linear interpolation within its bucket; None without values.

    A quantile above the last bound is given as that bound.
    Source: Prometheus, `promql/quantile.go`, bucketQuantile.
    """
    total = sum(value.counts)
    if total <= 0:
        return None
    rank, below = q * total, 0
    for index, bound in enumerate(buckets):
        inside = value.counts[index]
        if inside and below + inside >= rank:
            start = buckets[index - 1] if index else 0.0
            return start + (bound - start) * (rank - below) / inside
        below += inside
    return buckets[-1]
