"""The kinds of metrics. They compare by identity, so that looking one up costs no Python call."""

from dataclasses import dataclass
from typing import Final, Literal

Merge = Literal["sum", "max"]

LATENCY_BUCKETS: Final = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2,
    0.25, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0,
)  # fmt: skip
"""1 ms to 10 s: what a caller waits for. 250 ms is a bound, because an alert asks about it."""

UNITS: Final = (
    ("seconds", "seconds"),
    ("bytes", "bytes"),
    ("ratio", "ratio, 0 to 1"),
    ("rows", "rows"),
    ("items", "items"),
    ("decisions", "decisions"),
    ("overrides", "decisions"),
    ("records", "records"),
    ("requests", "requests"),
    ("predictions", "records and requests"),
    ("errors", "records and requests"),
    ("calls", "calls"),
    ("slots", "calls"),
    ("callers", "callers"),
    ("replicas", "replicas"),
    ("letters", "records"),
    ("answered", "records"),
    ("retries", "attempts"),
    ("values", "values"),
    ("assets", "assets"),
    ("keys", "keys"),
    ("partition", "partitions"),
    ("paused", "partitions"),
    ("lost", "partitions"),
    ("entities", "entities"),
    ("traces", "requests and batches"),
    ("digests", "digests"),
    ("alert", "alerts"),
    ("per_core", "processes a core"),
    ("stored", "records"),
    ("late", "records"),
    ("left", "records"),
    ("restarted", "assets"),
    ("forgotten", "assets"),
    ("version", "number of a version"),
    ("changes", "changes"),
    ("alarms", "alarms"),
    ("drift_mean", "that of what is watched"),
    ("audit_heads", "heads of the log"),
    ("audit_head", "first digits of a hash"),
    ("audit_length", "entries"),
    ("refused", "requests"),
    ("entries", "entries"),
    ("state", "number of a state"),
    ("level", "number of a level"),
)
"""The word in a metric's name, and the unit that it stands for; the first that is there decides."""


def unit_of(name: str) -> str:
    """The unit that a metric's name says. Raises `ValueError` where it says none."""
    for word, unit in UNITS:
        if word in name:
            return unit
    raise ValueError(f"{name}: the name says no unit; name it after one of those in mesh/telemetry/metric.py")


@dataclass(frozen=True, slots=True, eq=False)
class Counter:
    """A number that only grows."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Gauge:
    """A number that is so now. `merge` says how the values of several processes become one."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    merge: Merge = "sum"


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Counts of values per bucket. `buckets` are upper bounds, ascending; one above the last is implied."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = LATENCY_BUCKETS


Metric = Counter | Gauge | Histogram
