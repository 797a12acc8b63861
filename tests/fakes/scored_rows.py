"""Scored rows of a stream whose topic is `raw`, one record a row."""

from collections.abc import Mapping, Sequence

import numpy as np

from mesh.alerts import ScoredRows
from mesh.routing.masks import Column


def rows(
    assets: Sequence[str], seconds: Sequence[float], columns: Mapping[str, Column], first_offset: int = 0
) -> ScoredRows:
    """One row an asset and time; offsets count up from `first_offset`."""
    time = (np.array(seconds, np.float64) * 1_000).astype(np.int64)
    offset = np.arange(first_offset, first_offset + len(assets))
    return ScoredRows(assets, time, "raw", np.zeros(len(assets), np.int64), offset, columns)


def part(whole: ScoredRows, begin: int, end: int) -> ScoredRows:
    """Rows `begin` to `end` of a batch."""
    return ScoredRows(
        whole.assets[begin:end],
        whole.time[begin:end],
        whole.topic,
        whole.partition[begin:end],
        whole.offset[begin:end],
        {name: None if column is None else column[begin:end] for name, column in whole.columns.items()},
    )
