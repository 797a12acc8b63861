"""Records on their way from machines to Kafka, in columns."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True, slots=True)
class Records:
    """N records over S sensors; times in milliseconds since the beginning of the run.

    `asset` int64 [N]; `read_ms` int64 [N] when it was read; `said_ms` int64 [N] when it says so; `sent_ms` int64 [N] when it
    leaves; `values` float64 [N, S] with NaN for null; `absent` bool [N, S] where a record does not name the sensor; `units`
    int16 [N, S] places in the run's units, 0 where a record says nothing of it.
    """

    asset: np.ndarray
    read_ms: np.ndarray
    said_ms: np.ndarray
    sent_ms: np.ndarray
    values: np.ndarray
    absent: np.ndarray
    units: np.ndarray

    def __len__(self) -> int:
        return len(self.asset)

    def take(self, rows: np.ndarray) -> "Records":
        """Copies of these rows (places, or a mask), in this order."""
        return Records(*(getattr(self, one.name)[rows] for one in fields(self)))


def joined(parts: Sequence[Records]) -> Records:
    """One after the other; at least one."""
    return Records(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Records)))


def no_records(sensors: int) -> Records:
    """None, over so many sensors."""
    time = np.empty(0, np.int64)
    shape = (0, sensors)
    return Records(
        time, time, time, time, np.empty(shape), np.empty(shape, np.bool_), np.empty(shape, np.int16)
    )
