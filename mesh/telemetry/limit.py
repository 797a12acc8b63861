"""A bound on the series of all processes together: each is bounded, but a flood may fill every one differently."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from mesh.telemetry.recorder import OTHER
from mesh.telemetry.snapshot import LabelValues

MAX_SERIES: Final = 2000
"""Series of one metric on the page that Prometheus reads."""

Value = TypeVar("Value", bound=Any)


def limited(
    metrics: Mapping[str, Mapping[LabelValues, Value]], most: int = MAX_SERIES
) -> dict[str, dict[LabelValues, Value]]:
    """The same numbers with at most `most` series a metric, and one of `other` that the rest are added to.

    Those that were there first stay.
    """
    found: dict[str, dict[LabelValues, Value]] = {}
    for name, series in metrics.items():
        if len(series) <= most:
            found[name] = dict(series)
            continue
        kept: dict[LabelValues, Value] = {}
        for labels, value in series.items():
            if len(kept) < most:
                kept[labels] = value
            else:
                rest = (OTHER,) * len(labels)
                kept[rest] = kept[rest] + value if rest in kept else value
        found[name] = kept
    return found
