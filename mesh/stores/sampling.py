"""Which rows of a day are kept when it grows cold. Pure.

A kept row is one that was computed, not a mean of several: what a model was shown can still be looked up, and rows of all
tiers can be compared.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from mesh.stores.rows import Window


def last_of_each_period(entity: np.ndarray, event_time: np.ndarray, period_ms: int) -> np.ndarray:
    """True for the newest row of each entity (int64 [N]) in each period of the clock; bool [N]."""
    period = event_time // period_ms
    order = np.lexsort((event_time, period, entity))
    last = np.ones(len(order), bool)
    same = (entity[order][1:] == entity[order][:-1]) & (period[order][1:] == period[order][:-1])
    last[:-1] = ~same
    kept = np.empty(len(order), bool)
    kept[order] = last
    return kept


def inside(
    windows: Iterable[Window], names: Sequence[str], entity: np.ndarray, event_time: np.ndarray
) -> np.ndarray:
    """True for rows within a window of their entity; `entity` int64 [N] counts in `names`. bool [N]."""
    numbers = {name: number for number, name in enumerate(names)}
    kept = np.zeros(len(entity), bool)
    for window in windows:
        number = numbers.get(window.entity)
        if number is not None:
            kept |= (entity == number) & (event_time >= window.start) & (event_time <= window.end)
    return kept
