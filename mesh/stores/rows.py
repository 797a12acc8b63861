"""The values that pass between the parts of the store. All are frozen; arrays inside them are shared, not copied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """N rows of a view.

    `entities` are N names, `event_time` int64 [N] when it was so, `created_time` int64 [N] when that became known, `values`
    float64 [N, F] in the order of the view's columns.
    """

    entities: Sequence[str]
    event_time: np.ndarray
    created_time: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.event_time)

    def take(self, rows: np.ndarray) -> "FeatureBatch":
        """These rows (positions, int64), in this order."""
        return FeatureBatch(
            [self.entities[row] for row in rows.tolist()],
            self.event_time[rows],
            self.created_time[rows],
            self.values[rows],
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of several partitions in their order of arrival; `partition` and `offset` int64 [N] say where each was.

    `ends` are the offsets to read on from once these rows are in the table, also where all of a partition's records in
    between were refused.
    """

    batch: FeatureBatch
    partition: np.ndarray
    offset: np.ndarray
    ends: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class OnlineRow:
    """The newest row of an entity. `values` is float64 [F]; `transform` is the digest of the columns that they are."""

    entity: str
    view: str
    transform: str
    event_time: int
    created_time: int
    values: np.ndarray

    def age_ms(self, now: int) -> int:
        """How long ago it was so."""
        return now - self.event_time


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of an entity's time, both ends included: a labelled fault, a disputed alert."""

    entity: str
    start: int
    end: int
