"""What the alert stage is given: scored rows in columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mesh.alerts.events import Place
from mesh.routing.masks import Column


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """N rows; those of an asset stand in the order of their times.

    `assets` are N names, `time` int64 [N] milliseconds since 1970, `partition` and `offset` int64 [N] the record of `topic` that
    caused each row. `columns` holds what rules read, under flat dotted names, each of N values; a row without one holds NaN or
    `MISSING`. `asset` need not be among them.
    """

    assets: Sequence[str]
    time: np.ndarray
    topic: str
    partition: np.ndarray
    offset: np.ndarray
    columns: Mapping[str, Column]

    def __len__(self) -> int:
        return len(self.assets)

    def column(self, name: str) -> Column:
        """The values of an attribute; None where no row has one."""
        return self.assets if name == "asset" else self.columns.get(name)

    def place(self, row: int) -> Place:
        """The record that caused a row."""
        return Place(self.topic, int(self.partition[row]), int(self.offset[row]))
